"""Ordinary work with testcontainers; prints what it sees.

Its reaper wants the engine's socket mounted into a container and an image from a registry: it is told to do without
(``TESTCONTAINERS_RYUK_DISABLED=true``), and the containers end with their ``with``.
"""

import time

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

with Network() as network:
    server = DockerContainer("adminer").with_name("tc-server").with_network(network).with_network_aliases("server").with_exposed_ports(8080)
    with server.with_env("A", "1").with_kwargs(mem_limit="64m", labels={"kind": "test"}) as running:
        client = DockerContainer("alpine").with_name("tc-client").with_network(network).with_command("sleep 1000")
        with client.with_volume_mapping("tc-data", "/d", "rw") as other:
            for _ in range(100):
                code, page = other.exec(["wget", "-qO-", "http://server:8080/"])
                if code == 0:
                    break
                time.sleep(0.1)
            print(code, page)
            print(other.exec("sh -c 'echo x > /d/f; cat /d/f; exit 3'"))
            print(running.get_wrapped_container().name, running.get_wrapped_container().labels.get("kind"))
            print(int(running.get_exposed_port(8080)) > 0)
            print(running.get_logs())
docker_client = server.get_docker_client().client
print([c.name for c in docker_client.containers.list(all=True) if c.name.startswith("tc-")])
docker_client.volumes.get("tc-data").remove()
