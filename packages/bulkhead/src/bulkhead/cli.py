"""The `bulkhead` command: assembles the commands of `bulkhead.commands`.

These modules import only click until a command runs, so `bulkhead --help` is fast.
"""

import click

from bulkhead.commands.advise import advise
from bulkhead.commands.changed import changed
from bulkhead.commands.deploy import deploy
from bulkhead.commands.deploy_hook import deploy_hook
from bulkhead.commands.doctor import doctor
from bulkhead.commands.history import history
from bulkhead.commands.images import images
from bulkhead.commands.locations import locations
from bulkhead.commands.migrate import migrate
from bulkhead.commands.new import new
from bulkhead.commands.promote import promote
from bulkhead.commands.reconcile import reconcile
from bulkhead.commands.rerun import rerun
from bulkhead.commands.rollback import rollback
from bulkhead.commands.workspace_sync import workspace_sync


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="bulkhead", prog_name="bulkhead")
def main() -> None:
    """Dagster on Kubernetes with walls."""


main.add_command(new)
main.add_command(deploy)
main.add_command(changed)
main.add_command(promote)
main.add_command(history)
main.add_command(rollback)
main.add_command(images)
main.add_command(rerun)
main.add_command(locations)
main.add_command(doctor)
main.add_command(advise)
main.add_command(deploy_hook)
main.add_command(workspace_sync)
main.add_command(reconcile)
main.add_command(migrate)
