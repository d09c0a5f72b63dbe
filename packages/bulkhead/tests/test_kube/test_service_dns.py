"""The DNS name of a Service is written and read alike."""

import pytest

from bulkhead.kube.service_dns import namespace_of_host, service_host


def test_the_name_that_is_written_is_read() -> None:
    assert service_host("hello", "bulkhead-hello") == "hello.bulkhead-hello.svc"
    assert namespace_of_host(service_host("hello", "bulkhead-hello")) == "bulkhead-hello"


def test_the_domain_of_the_cluster_may_follow() -> None:
    assert namespace_of_host("hello.bulkhead-hello.svc.cluster.local") == "bulkhead-hello"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "10.0.0.1",
        "hello.svc",
        "hello.ns",
        "a.b.ns.svc",
        "hello.ns.svc2",
        ".ns.svc",
        "",
    ],
)
def test_another_host_names_no_namespace(host: str) -> None:
    assert namespace_of_host(host) is None
