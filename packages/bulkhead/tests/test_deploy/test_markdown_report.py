"""The report for a pull request: one text with everything that a reviewer must know."""

from markdown_it import MarkdownIt

from bulkhead.code_location.summary import Asset, Job, Summary
from bulkhead.deploy.load_check import differences
from bulkhead.deploy.markdown_report import MarkdownReport
from bulkhead.deploy.report import TextReport

BEFORE = Summary(
    "shop",
    jobs={"nightly": Job()},
    assets={"orders": Asset(group="raw"), "old": Asset(), "report": Asset(deps=("old",))},
)
AFTER = Summary(
    "shop",
    jobs={"nightly": Job()},
    assets={"orders": Asset(group="shop"), "weekly": Asset(), "report": Asset(deps=("old",))},
)
CHANGES = differences.compare(BEFORE, AFTER)


class Reported:
    """A report, the lines that it prints and the texts that it writes."""

    def __init__(self, *names: str) -> None:
        self.lines: list[str] = []
        self.texts: list[str] = []
        printed = TextReport(names, self.lines.append)
        self.report = MarkdownReport(printed, self.texts.append)

    def end(self, **results: str) -> str:
        """End the deploy; return the text."""
        outcomes = [{"location": name, "result": result} for name, result in results.items()]
        self.report.end("checked 1 of 1 code location in 9 s", outcomes=outcomes)
        [text] = self.texts
        return text


def checked() -> Reported:
    found = Reported("shop")
    found.report.stage("shop", "loads", CHANGES.line, 4.04)
    found.report.differences("shop", CHANGES)
    for warning in CHANGES.warnings:
        found.report.warning("shop", "loads", warning.text)
    return found


def test_a_check_shows_counts_differences_and_warnings() -> None:
    text = checked().end(shop="checked")
    assert text == (
        "## bulkhead deploy\n\n"
        "checked 1 of 1 code location in 9 s\n\n"
        "### shop: checked\n\n"
        "- ✓ loads: 1 job, 3 assets (+1: weekly; \N{MINUS SIGN}1: old; \\~1: orders) (4.0 s)\n"
        "- **Warning:** Asset old is gone, but asset report still depends on it and will get no "
        "new data. Keep the asset, or remove the dependency first.\n\n"
        "```diff\n"
        "+ asset weekly\n"
        "- asset old\n"
        "! asset orders  group raw → shop\n"
        "```\n"
    )


def test_a_failure_shows_reason_last_output_and_what_is_live() -> None:
    found = Reported("shop")
    found.report.stage("shop", "image", "built", 1.0)
    found.report.failure("shop", "live", "It does not start.", "Traceback\n  x = 1\n")
    found.report.stage("shop", "back", "y is live again", 2.0)
    found.report.state("shop", "Live is y.")
    assert found.end(shop="failed").endswith(
        "### shop: failed\n\n"
        "- ✓ image: built (1.0 s)\n"
        "- ✗ live: **It does not start.**\n"
        "- ✓ back: y is live again (2.0 s)\n\n"
        "Last output:\n\n```\nTraceback\n  x = 1\n```\n\n"
        "Live is y.\n"
    )


def test_what_is_unchanged_is_one_line() -> None:
    found = Reported("shop", "stock")
    found.report.location("stock", "unchanged")
    assert found.end(stock="unchanged").endswith("\n\n### stock: unchanged\n")


def test_everything_is_printed_as_without_it() -> None:
    plain: list[str] = []
    other = TextReport(["shop"], plain.append)
    found = Reported("shop")
    for report in (other, found.report):
        report.location("shop", "changed")
        report.progress("shop", "image", "builds")
        report.stage("shop", "image", "bulkhead/shop@sha256:4be1…", 2.0)
        report.differences("shop", CHANGES)
        report.warning("shop", "loads", "careful")
        report.failure("shop", "live", "no", "output")
        report.state("shop", "Live is y.")
        report.end("failed: shop", outcomes=[])
    assert found.lines == plain != []


def test_no_markup_in_a_text_becomes_markup_of_the_page() -> None:
    found = Reported("shop")
    reason = "`a` <img src=x> **b** [c](http://d) _e_ | f\n# g"
    found.report.failure("shop", "loads", reason, "````\n</details>\n````")
    html = MarkdownIt("commonmark").render(found.end(shop="failed"))
    for tag in ("<img", "<em>", "<h1>", "<a ", "<table"):
        assert tag not in html
    assert "**b** [c](http://d) _e_ | f # g" in html
    assert "<code>````\n&lt;/details&gt;\n````" in html


def test_long_lists_and_outputs_are_cut() -> None:
    many = Summary("shop", assets={f"asset_{number:04}": Asset() for number in range(500)})
    found = Reported("shop")
    found.report.differences("shop", differences.compare(Summary("shop"), many))
    found.report.failure("shop", "loads", "no", "\n".join(f"line {n}" for n in range(9999)))
    text = found.end(shop="failed")
    assert "+ asset asset_0099\n  and 400 more\n" in text
    assert "line 9998" in text
    assert len(text) < 10_000


def test_a_comment_is_never_too_long_for_github() -> None:
    names = [f"location-{number:02}" for number in range(30)]
    found = Reported(*names)
    for name in names:
        found.report.failure(name, "loads", "no", "x" * 9000)
    text = found.end(**dict.fromkeys(names, "failed"))
    assert len(text) < 65_536
    assert "location-13" in text
    assert text.endswith("16 more code locations are in the log.\n")
