"""A small node of network namespaces, with pods on veth pairs, as the ptp plugin makes them."""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

GATEWAY = "10.244.1.1"
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000

# On one machine a packet that is let through takes well under a millisecond. Also shorter than
# the second after which TCP sends again, so that each try is judged by one set of rules.
TIMEOUT = 0.15


def run(*command: str, text: str = "") -> None:
    """Run a command; its error output is the error."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


class Node:
    """A router namespace and its pods. `sockets` and servers end with `close`."""

    def __init__(self, name: str) -> None:
        """Make the router."""
        self.name = name
        self._pods: dict[str, str] = {}
        self._open: list[socket.socket] = []
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def add_pod(self, ip: str, interface: str) -> None:
        """Add a pod, or another host, at a node's interface of that name."""
        pod = f"{self.name}-{len(self._pods)}"
        self._pods[ip] = pod
        run("ip", "netns", "add", pod)
        run(
            *("ip", "link", "add", interface, "netns", self.name, "type", "veth"),
            *("peer", "name", "eth0", "netns", pod),
        )
        run("ip", "-n", self.name, "address", "add", f"{GATEWAY}/32", "dev", interface)
        off = f"net.ipv6.conf.{interface}.accept_dad=0"
        run("ip", "netns", "exec", self.name, "sysctl", "-qw", off)
        run("ip", "-n", self.name, "link", "set", interface, "up")
        run("ip", "-n", self.name, "route", "add", f"{ip}/32", "dev", interface)
        run("ip", "-n", pod, "address", "add", f"{ip}/32", "dev", "eth0")
        # A link-local address is usable at once, without duplicate address detection.
        run("ip", "netns", "exec", pod, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
        run("ip", "-n", pod, "link", "set", "eth0", "up")
        run("ip", "-n", pod, "link", "set", "lo", "up")
        run("ip", "-n", pod, "route", "add", f"{GATEWAY}/32", "dev", "eth0")
        run("ip", "-n", pod, "route", "add", "default", "via", GATEWAY)

    def apply(self, rules: str) -> None:
        """Hand a transaction to the nft of this node."""
        run("ip", "netns", "exec", self.name, "nft", "-f", "-", text=rules)

    def serve(self, ip: str, port: int) -> None:
        """Answer each line a client of this TCP port sends with the client's address."""
        listener = self._socket(ip, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ip, port))
        listener.listen(64)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def serve_udp(self, ip: str, port: int) -> None:
        """Send each datagram back."""
        receiver = self._socket(ip, socket.SOCK_DGRAM)
        receiver.bind((ip, port))
        threading.Thread(target=_echo, args=(receiver,), daemon=True).start()

    def connect(self, source: str, target: str, port: int) -> socket.socket | None:
        """Open a connection from a pod (or the node, at its gateway address); None if it fails."""
        client = self._socket(source, socket.SOCK_STREAM)
        client.settimeout(TIMEOUT)
        try:
            client.connect((target, port))
        except OSError:
            client.close()
            return None
        return client

    def reaches(self, source: str, target: str, port: int = 80) -> bool:
        """Say whether a connection is answered."""
        client = self.connect(source, target, port)
        return client is not None and bool(request(client))

    def reaches_by_udp(self, source: str, target: str, port: int) -> bool:
        """Say whether a datagram is answered."""
        client = self.datagrams(source)
        client.sendto(b"hello", (target, port))
        with suppress(OSError):
            return client.recv(100) == b"hello"
        return False

    def datagrams(self, source: str) -> socket.socket:
        """Return a socket of a pod to send datagrams from."""
        client = self._socket(source, socket.SOCK_DGRAM)
        client.settimeout(TIMEOUT)
        return client

    def reaches_by_link_local(self, source: str, interface: str, port: int) -> bool:
        """Say whether a pod reaches its node by the IPv6 address of the node's interface."""
        listener = self._socket(GATEWAY, socket.SOCK_STREAM, socket.AF_INET6)
        listener.bind(("::", port))
        listener.listen()
        mac = self._read(f"/sys/class/net/{interface}/address").replace(":", "")
        first = int(mac[:2], 16) ^ 2
        host = f"fe80::{first:02x}{mac[2:4]}:{mac[4:6]}ff:fe{mac[6:8]}:{mac[8:]}"
        client = self._socket(source, socket.SOCK_STREAM, socket.AF_INET6)
        client.settimeout(TIMEOUT)
        with self._inside(source):
            scope = socket.if_nametoindex("eth0")
        try:
            client.connect((host, port, 0, scope))
        except OSError:
            return False
        finally:
            listener.close()
        return True

    def close(self) -> None:
        """Remove everything."""
        for opened in self._open:
            opened.close()
        for name in (*self._pods.values(), self.name):
            run("ip", "netns", "delete", name)

    def _read(self, file: str) -> str:
        command = ["ip", "netns", "exec", self.name, "cat", file]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, address = listener.accept()
                self._open.append(client)
                threading.Thread(target=_answer, args=(client, address[0]), daemon=True).start()

    def _socket(self, ip: str, kind: int, family: int = socket.AF_INET) -> socket.socket:
        with self._inside(ip):
            opened = socket.socket(family, kind)
        self._open.append(opened)
        return opened

    @contextmanager
    def _inside(self, ip: str) -> Generator[None, None, None]:
        # A socket stays in the namespace that the thread was in when it was made.
        name = self.name if ip == GATEWAY else self._pods[ip]
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(Path("/run/netns") / name, os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(home)
            os.close(there)
            os.close(home)


def request(client: socket.socket) -> str:
    """Send a line on a connection; return the answer, or nothing if none came."""
    try:
        client.sendall(b"\n")
        return client.recv(100).decode().strip()
    except OSError:
        return ""


def _answer(client: socket.socket, address: str) -> None:
    with suppress(OSError), client:
        while client.recv(100):
            client.sendall(f"{address}\n".encode())


def _echo(receiver: socket.socket) -> None:
    with suppress(OSError):
        while True:
            data, client = receiver.recvfrom(100)
            receiver.sendto(data, client)


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
