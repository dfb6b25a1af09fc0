"""Ordinary work with docker-compose 1.29 and docker compose v2."""

from typing import Final

from tests.integration.flows.steps import ANY, Flow, Step

PROJECT: Final = """mkdir shop; cat > shop/docker-compose.yml <<'EOF'
version: "3.8"
services:
  db:
    image: mysql
    environment: {MYSQL_ROOT_PASSWORD: "Oracle098#"}
    volumes: ["data:/var/lib/mysql"]
    stop_grace_period: 2s
  web:
    image: adminer
    depends_on: [db]
    restart: always
    ports: ["18090:8080"]
    networks:
      default: {aliases: [front]}
      inner: {}
    labels: {tier: front}
  worker:
    image: alpine
    init: true
    command: sleep 1000
    cap_drop: [MKNOD]
    networks: [inner]
volumes:
  data: {}
networks:
  inner: {labels: {a: b}}
EOF"""
APP: Final = r"""mkdir app; cat > app/docker-compose.yml <<'EOF'
version: "3.8"
services:
  own:
    build: {context: ., args: {WHO: me}}
    image: shop-own:v1
    command: cat /who
EOF
printf 'FROM alpine\nARG WHO\nRUN echo built for $WHO > /who\n' > app/Dockerfile"""


def project(compose: str, name: str, one: str, *, short: bool = False) -> Flow:
    """Return a project's life, from the first ``up`` to ``down``.

    Args:
        compose: how the command is typed.
        name: the flow's name.
        one: what stands between service and number in a container's name.
        short: whether to leave out what is seldom typed.

    """

    def run(arguments: str, code: int = 0, *, folder: str = "shop", sort: bool = True, numbers: bool = False) -> Step:
        return Step(f"cd {folder} && {compose} {arguments}", code, any_order=sort, numbers=numbers)

    more = (
        run("config --services"),
        run("ps -q | wc -l"),
        run("ps --services"),
        run("exec -T nosuch true", 1),
        run("port web 8080"),
        run("pause web"),
        run("unpause web"),
        run("stop -t 0 web"),
        run("start web"),
        run("kill worker"),
        run("rm -f worker"),
        run("images", sort=False),
        run("top db", numbers=True),
    )
    return Flow(
        name,
        (
            Step(PROJECT),
            run("up -d"),
            run("up -d"),
            run("ps", sort=False),
            run("logs --no-color db"),
            run("exec -T web sh -c 'ping -c 1 db && ping -c 1 worker' | grep received"),
            run("exec -T db sh -c 'echo out; echo err >&2; exit 4'", 4),
            run("run --rm -T worker sh -c 'echo ran; exit 3'", 3),
            run("up -d --scale worker=2"),
            Step("docker ps --filter label=com.docker.compose.service=worker -q | wc -l"),
            run("restart -t 0 worker"),
            *(() if short else more),
            Step("sed -i 's/tier: front/tier: new/; s/sleep 1000/sleep 2000/' shop/docker-compose.yml"),
            run("up -d"),
            Step(f"docker inspect shop{one}web{one}1 --format '{{{{.Config.Labels.tier}}}} {{{{.Name}}}}'"),
            Step("docker ps --filter label=com.docker.compose.project=shop --format '{{.Names}} {{.Image}} {{.Ports}}' | sort"),
            Step("docker network ls --filter label=com.docker.compose.project=shop --format '{{.Name}}' | sort"),
            Step("docker volume ls -q | sort"),
            run("down -t 1 -v --remove-orphans"),
            Step("docker volume ls -q; docker network ls -q | wc -l; docker ps -aq"),
            Step(APP),
            run("up --build", folder="app"),
            run("run --rm own cat /who", folder="app"),
            run("down --rmi all", folder="app"),
            run("ps", ANY, folder="."),
        ),
    )


OLD: Final = project("docker-compose", "1.29", "_", short=True)
NEW: Final = project("docker compose", "v2", "-")
