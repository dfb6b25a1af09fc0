"""The class day as data: what is typed, section by section, and what must come back.

``%me%`` is the student's login, ``%other%`` the neighbour's, ``%n%`` the student's number from 1 on;
further ``%names%`` are kept from earlier answers (``keeps``). Sections carry the log's own headings.
Where the log's seven students would get into each other's way on one host (a published port, a subnet),
the number differs per student; everything else is typed as it stands in the log.
"""

from dataclasses import dataclass, field
from typing import Final

STUDENTS: Final = ("natraj", "ashu", "akshay", "dev", "ramesh", "rohit", "roni")
ID: Final = r"[0-9a-f]{12}"
LONG_ID: Final = r"[0-9a-f]{64}"
IN_CONTAINER: Final = r"/ # $"
CTRL_C: Final = "\x03"
DETACH: Final = "\x10\x11"


@dataclass(frozen=True, slots=True)
class Line:
    """A line typed into a program: shown ``until`` that pattern; then ``press`` and wait for ``then``."""

    typed: str
    until: str = IN_CONTAINER
    press: str = ""
    then: str = IN_CONTAINER
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    pause: float = 0.0  # look for this long instead of waiting for ``until``: nothing is to come


@dataclass(frozen=True, slots=True)
class Step:
    """A command, its expected exit ``code`` and what its answer ``shows`` and ``hides`` (patterns).

    ``keeps``: a pattern whose named groups become ``%names%``. ``inside``: a dialogue with the program.
    ``by``: whose terminal. ``within``: typed again until it holds, at most so many seconds.
    ``guarded``: only true with hostadmin in front.
    """

    typed: str
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    code: int | None = 0
    keeps: str = ""
    inside: tuple[Line, ...] = ()
    opens: str = IN_CONTAINER
    by: str = "student"
    within: float = 0.0
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the log and the steps under it."""

    title: str
    steps: tuple[Step, ...] = field(default_factory=tuple)


def ping(target: str) -> Line:
    """``ping`` that is answered, ended with Ctrl-C as in the log."""
    return Line(f"ping {target}", r"seq=1 ", CTRL_C, shows=(r"\d packets transmitted, \d packets received, 0% packet loss",))


def no_ping(target: str) -> Line:
    """``ping`` that nobody answers."""
    return Line(f"ping {target}", press=CTRL_C, pause=2.0, shows=(r"0 packets received, 100% packet loss",))


ADDRESS: Final = "--format='{{.NetworkSettings.IPAddress}}'"
COMPOSE: Final = """cat > docker-compose.yaml <<'EOF'
version: '3.8' # compsoe file version 2.x / 3.x is automatically creating docker new bridge
services:
 %me%db: # backend db container info
  image: mysql
  container_name: %me%dbc1
  restart: always
  environment:
   MYSQL_ROOT_PASSWORD: "Oracle098#"
  command: --default-authentication-plugin=mysql_native_password

 %me%webapp: # webapp Info
  image: adminer
  container_name: %me%webc1
  restart: always
  depends_on:
  - %me%db   # wait for container to up and accept traffic
  ports:
  - "123%n%:8080"
EOF"""
HELLO: Final = """cat > hello.py <<'EOF'
# by %me%
from flask import Flask
app = Flask(__name__)

@app.route('/')
def hello():
	return "welcome to the flask tutorials"



if __name__ == "__main__":
	app.run(host ='0.0.0.0', port = 5000, debug = True)
EOF"""
DOCKERFILE: Final = """cat > Dockerfile <<'EOF'
FROM python
COPY . /app
WORKDIR /app
RUN pip install -r requirements.txt
EXPOSE 5000
ENTRYPOINT [ "python" ]
CMD [ "hello.py" ]
EOF"""

MORNING: Final = (
    Section(
        "NON root users can not access docker serivce",
        (
            Step(
                "docker  images",
                shows=(r"hostadmin access grant %me%",),
                hides=("REPOSITORY", "permission denied"),
                code=1,
                guarded=True,
            ),
            Step("hostadmin access grant %me%", by="trainer", guarded=True),
            Step("grep -i docker  /etc/group", shows=(r"^docker:x:\d+:.*\b%me%\b",), by="trainer"),
            Step("hostadmin user add %me% --docker", by="trainer", guarded=True),
            Step("docker  images", shows=("REPOSITORY",), hides=("hostadmin access",)),
        ),
    ),
    Section(
        "creating container and checking process",
        (
            Step("docker  run -it -d  --name  %me%c1 alpine", keeps=rf"^(?P<c1>{LONG_ID})$"),
            Step("docker  ps", shows=(rf"^{ID}\s+alpine\s.*Up .*\s%me%c1$",), hides=(r"\b%other%",)),
        ),
    ),
    Section(
        "container app process ID",
        (Step("docker  inspect  %c1%  --format='{{.State.Pid}}'", keeps=r"^(?P<pid>[1-9]\d*)$"),),
    ),
    Section(
        "checking in backend",
        (
            Step("ls /proc/%pid%/ns", shows=("mnt", "net", "pid", "uts"), by="trainer"),
            Step("nsenter -t  %pid%  --net  busybox ifconfig", shows=(r"inet addr:172\.17\.\d+\.\d+", "eth0", "^lo"), by="trainer"),
            Step(
                "nsenter -t  %pid%  --uts  --mount  sh -c 'hostname; ls /bin/busybox; ls /proc/1/ns'",
                shows=(r"^%c12%", "^/bin/busybox"),
                code=None,  # /proc of the container shows no processes of the host, as in the log
                by="trainer",
            ),
            Step(
                "hostadmin container show %c1%",
                shows=("%me%c1", r"\b%pid%\b", r"172\.17\.\d+\.\d+", "eth0", "net", "uts", "mnt", "cgroup"),
                by="trainer",
                guarded=True,
            ),
        ),
    ),
    Section(
        "remove all containers",
        (
            Step("docker  rm  $(docker  ps -aq) -f", shows=(rf"\A({ID}\n)+\Z", "^%c12%$")),
            Step("docker  ps -aq", shows=(r"\A\Z",)),
        ),
    ),
    Section(
        "docker network listing",
        (
            Step(
                "docker  network  ls",
                shows=(r"\bbridge +bridge +local", r"\bhost +host +local", r"\bnone +null +local"),
                hides=(r"\b%other%",),
                keeps=rf"^(?P<bridge>{ID})\s+bridge\s",
            ),
            Step("docker  network  inspect  %bridge%", shows=('"Name": "bridge"', r'"Subnet": "172\.17\.0\.0/16"')),
        ),
    ),
    Section(
        "checking container connected to the bridge",
        (
            Step("docker run -itd --name %me%c1 alpine", keeps=rf"^(?P<c1>{LONG_ID})$"),
            Step(
                "docker  network inspect %bridge%",
                shows=('"Name": "%me%c1"', r'"IPv4Address": "172\.17\.\d+\.\d+/16"'),
                hides=(r'"%other%',),
            ),
        ),
    ),
)

INSPECT: Final = (
    Section(
        "playing with Inspect",
        (
            Step("docker  inspect  %me%c1   --format='{{.Id}}'", shows=("^%c1%$",)),
            Step("docker  inspect  %me%c1   --format='{{.State.Status}}'", shows=("^running$",)),
            Step(f"docker  inspect  %me%c1   {ADDRESS}", keeps=r"^(?P<ip1>172\.17\.\d+\.\d+)$"),
            Step(f"docker  inspect  %me%c1   {ADDRESS}  --format='{{{{.Id}}}}'", shows=(r"\A%c1%\n\Z",)),
            Step("docker  inspect  %me%c1   --format='{{.NetworkSettings.IPAddress}}  {{.Id}}'", shows=("^%ip1%  %c1%$",)),
            Step("docker  ps -q", shows=(rf"\A({ID}\n)+\Z", "^%c12%$")),
            Step(
                "for  i in  `docker  ps -q`\ndo\ndocker  inspect  $i  --format='{{.NetworkSettings.IPAddress}}  {{.Id}}'\nsleep 1 \ndone",
                shows=("^%ip1%  %c1%$",),
            ),
        ),
    ),
    Section(
        "IN default container bridge only IP based communication is allowed not Name based",
        (
            Step("docker run -itd --name %me%c2 alpine"),
            Step(f"docker  inspect  %me%c2  {ADDRESS}", keeps=r"^(?P<ip2>172\.17\.\d+\.\d+)$"),
            Step(
                "docker  exec  -it  %me%c1  sh",
                inside=(ping("%ip2%"), Line("ping %me%c2", shows=("bad address '%me%c2'",)), Line("stty size", shows=("^50 220$",))),
            ),
        ),
    ),
    Section(
        "creating bridge",
        (
            Step("docker  network  create  %me%br1", shows=(rf"^{LONG_ID}$",)),
            Step("docker  network  create  %me%br2  --subnet  192.168.%n%.0/24", shows=(rf"^{LONG_ID}$",)),
            Step("docker  network  ls", shows=(r"%me%br1 +bridge", r"%me%br2 +bridge", r"\bhost +host"), hides=(r"\b%other%br",)),
            Step(
                "docker  network inspect %me%br1",
                shows=('"Name": "%me%br1"', r'"Subnet": "(172|192)\.', '"Gateway": "', '"Driver": "bridge"'),
            ),
            Step("docker  network inspect %me%br2", shows=(r'"Subnet": "192\.168\.%n%\.0/24"',)),
        ),
    ),
    Section(
        "docker network cross communication is blocked by default",
        (
            Step("docker  run -itd --name %me%c3  --network  %me%br1  alpine", shows=(rf"^{LONG_ID}$",)),
            # typed again if need be: while others make networks the engine takes its rules out for a moment
            Step("docker  exec -it  %me%c3  sh", inside=(no_ping("%ip1%"),), code=None, within=15),
        ),
    ),
    Section(
        "custom bridge DNS is alread there",
        (
            Step("docker  run -itd --name %me%c4  --network  %me%br1  alpine", shows=(rf"^{LONG_ID}$",)),
            Step("docker  exec -it  %me%c3  sh", inside=(ping("%me%c4"),)),
            Step("hostadmin network show %me%br1", shows=("%me%c3", "%me%c4", "172|192"), by="trainer", guarded=True),
        ),
    ),
    Section(
        "COntainer with no network",
        (
            Step(
                "docker  run -it --rm  --network none  alpine",
                inside=(
                    Line("ifconfig", shows=("^lo ",), hides=("eth0",)),
                    Line("ping 172.17.0.1", shows=("Network (is )?unreachable",)),
                    Line("ping google.com", press=CTRL_C, pause=1.0),
                ),
                code=None,
            ),
        ),
    ),
)

STATE: Final = "--format='{{.State.Status}} {{.RestartCount}}'"
AFTERNOON: Final = (
    Section(
        "restart policy in container",
        (
            Step("docker run -itd --name %me%x1  --restart  always  alpine", shows=(rf"^{LONG_ID}$",)),
            Step("docker inspect %me%x1 --format='{{.State.Pid}}'", keeps=r"^(?P<xpid>[1-9]\d*)$"),
            Step("kill -9 %xpid%", by="trainer"),
            Step(f"docker inspect %me%x1 {STATE}", shows=("^running 1$",), within=20),
        ),
    ),
    Section(
        "update restart policy in an existing container",
        (
            Step("docker  update  %me%c2  --restart always", shows=(r"\A%me%c2\n\Z",)),
            Step("docker inspect %me%c2 --format='{{.State.Pid}}'", keeps=r"^(?P<xpid>[1-9]\d*)$"),
            Step("kill -9 %xpid%", by="trainer"),
            Step(f"docker inspect %me%c2 {STATE}", shows=("^running 1$",), within=20),
            Step("docker  ps", shows=(rf"^{ID}\s+alpine\s.*Up .*\s%me%c2$",)),
        ),
    ),
    Section(
        "Port forwarding with docker host",
        (
            Step(
                "docker run -itd --name %me%p1 -p 808%n%:80 alpine sh -c 'echo page of %me% >/index.html; exec httpd -f -h /'",
                shows=(rf"^{LONG_ID}$",),
            ),
            Step("docker ps", shows=(r"0\.0\.0\.0:808%n%->80/tcp",)),
            Step("docker port %me%p1", shows=(r"80/tcp -> 0\.0\.0\.0:808%n%",)),
            Step("busybox wget -qO- http://127.0.0.1:808%n%/", shows=("^page of %me%$",), by="trainer", within=10),
        ),
    ),
    Section(
        "compose example",
        (
            Step("mkdir -p ~/%me%app; cd ~/%me%app"),
            Step(COMPOSE),
            Step(
                "docker-compose up -d",
                shows=(
                    r'(Creating network "%me%app_default" with the default driver|Network %me%app_default +Created)',
                    r"(Creating %me%dbc1 +\.\.\. done|Container %me%dbc1 +Started)",
                    r"(Creating %me%webc1 +\.\.\. done|Container %me%webc1 +Started)",
                ),
            ),
            Step(
                "docker-compose ps",
                shows=(r"^%me%dbc1 .*docker-entrypoint.s.* Up .*3306/tcp", r"^%me%webc1 .* Up .*0\.0\.0\.0:123%n%->8080/tcp"),
            ),
            Step("busybox wget -qO- http://127.0.0.1:123%n%/", shows=("Adminer",), by="trainer", within=10),
            Step("docker-compose exec %me%webapp sh", inside=(Line("ping -c 1 %me%db", shows=(" 0% packet loss",)),), code=None),
            Step("docker-compose logs", shows=("ready for connections",)),
        ),
    ),
    Section(
        "down",
        (
            Step(
                "docker-compose down",
                shows=(
                    r"(Stopping %me%webc1 +\.\.\. done|Container %me%webc1 +(Stopped|Removed))",
                    r"(Stopping %me%dbc1 +\.\.\. done|Container %me%dbc1 +(Stopped|Removed))",
                    r"(Removing %me%webc1 +\.\.\. done|Container %me%webc1 +Removed)",
                    r"(Removing %me%dbc1 +\.\.\. done|Container %me%dbc1 +Removed)",
                    "(Removing network %me%app_default|Network %me%app_default +Removed)",
                ),
            ),
            Step("docker network ls", shows=(r"%me%br1",), hides=("%me%app_default",)),
            Step("cd"),
        ),
    ),
    Section(
        "python flask webapp code",
        (
            Step("rm -rf ~/images; mkdir ~/images; cd ~/images"),
            Step(HELLO),
            Step("echo flask > requirements.txt"),
            Step(DOCKERFILE),
            Step("ls", shows=(r"Dockerfile\s+hello.py\s+requirements.txt",)),
            Step(
                "docker build -t %me%webapp .",
                shows=(
                    "Step 7/7 : CMD",
                    "Successfully installed flask",
                    rf"Successfully built {ID}",
                    "Successfully tagged %me%webapp:latest",
                ),
                keeps=rf"Successfully built (?P<image>{ID})",
            ),
            Step("docker run -itd --name %me%f1 -p 500%n%:5000 %me%webapp", shows=(rf"^{LONG_ID}$",)),
            Step("busybox wget -qO- http://127.0.0.1:500%n%/", shows=("welcome to the flask tutorials",), by="trainer", within=10),
            Step("docker rm -f %me%f1", shows=("^%me%f1$",)),
        ),
    ),
    Section(
        "taking backup of docker image",
        (
            Step("docker  save  -o webapp.tar  %image%"),
            Step("docker  save  -o named.tar  %me%webapp"),
            Step("ls", shows=(r"Dockerfile\s+hello.py\s+named.tar\s+requirements.txt\s+webapp.tar",)),
        ),
    ),
    Section(
        "oN the new docker host",
        (
            Step("docker rmi %me%webapp", shows=("Untagged: %me%webapp:latest", "Deleted: sha256:%image%")),
            Step("docker  images", hides=("%image%", r"^%other%")),
            Step("docker  load -i webapp.tar", shows=("Loaded image ID: sha256:%image%",)),
            Step("docker images", shows=(r"^<none>\s+<none>\s+%image%",)),
            Step("docker  tag %image%  %me%alpine:v1"),
            Step("docker images", shows=(r"^%me%alpine\s+v1\s+%image%",)),
            Step("docker rmi %me%alpine:v1", shows=("Deleted: sha256:%image%",)),
            Step("docker load -i named.tar", shows=("Loaded image: %me%webapp:latest",)),
            Step("docker images", shows=(r"^%me%webapp\s+latest\s+%image%",)),
            Step("cd"),
        ),
    ),
)

EVENING: Final = (
    Section(
        "what else a day with docker has",
        (
            Step("docker stop -t 0 %me%c1", shows=("^%me%c1$",)),
            Step(f"docker inspect %me%c1 {STATE}", shows=("^exited 0$",)),
            Step("docker ps", hides=(r"%me%c1$",)),
            Step("docker start %me%c1", shows=("^%me%c1$",)),
            Step("docker restart -t 0 %me%c1", shows=("^%me%c1$",)),
            Step("docker kill %me%c1", shows=("^%me%c1$",)),
            Step("docker start %me%c1", shows=("^%me%c1$",)),
            Step("docker top %me%c1", shows=("PID", "sh"), within=10),
            Step("docker stats --no-stream %me%c1", shows=("%me%c1", r"\d%")),
            Step("docker run -d --name %me%w1 alpine sh -c 'exit 3'"),
            Step("docker wait %me%w1", shows=("^3$",)),
            Step("docker rename %me%w1 %me%w2"),
            Step("docker ps -a", shows=(r"Exited \(3\).*%me%w2$",), hides=("%me%w1",)),
            Step("docker run --rm alpine sh -c 'exit 7'", code=7),
            Step("echo over here | docker run -i --rm alpine cat", shows=("^over here$",)),
            Step("docker exec %me%c1 sh -c 'echo out; echo err >&2; exit 5'", shows=("^out$", "^err$"), code=5),
            Step("docker diff %me%c1", shows=()),
        ),
    ),
    Section(
        "logs and attach",
        (
            Step("docker run -d --name %me%log alpine sh -c 'for i in 1 2 3; do echo line $i; sleep 0.3; done; exec sleep 1000'"),
            Step("docker logs -f %me%log", opens="^line 3$", inside=(Line("", press=CTRL_C, pause=0.2, then=r"\^C"),), code=None),
            Step("docker logs --tail 1 %me%log", shows=(r"\Aline 3\n\Z",)),
            Step(
                "docker attach %me%c1",
                opens="",
                inside=(Line("echo hi-$((40+2))", until=r"^hi-42$", press=DETACH, then="read escape sequence"),),
                code=None,
            ),
            Step("docker inspect  %me%c1   --format='{{.State.Status}}'", shows=("^running$",)),
        ),
    ),
    Section(
        "copying files",
        (
            Step("echo note of %me% > note.txt"),
            Step("docker cp note.txt %me%c1:/root/"),
            Step("docker exec %me%c1 cat /root/note.txt", shows=(r"\Anote of %me%\n\Z",)),
            Step("docker cp %me%c1:/root/note.txt back.txt"),
            Step("cmp note.txt back.txt && echo the same", shows=("^the same$",)),
            Step("docker commit %me%c1 %me%img:v1", shows=(rf"^sha256:{LONG_ID}$",)),
            Step("docker run --rm %me%img:v1 cat /root/note.txt", shows=(r"\Anote of %me%\n\Z",)),
            Step("docker rmi %me%img:v1", shows=("Untagged: %me%img:v1",)),
        ),
    ),
    Section(
        "volumes",
        (
            Step("docker volume create %me%data", shows=("^%me%data$",)),
            Step("docker volume ls", shows=(r"^local +%me%data$",), hides=("%other%data",)),
            Step("docker volume inspect %me%data", shows=('"Name": "%me%data"',)),
            Step("docker run --rm -v %me%data:/data alpine sh -c 'echo kept > /data/f'"),
            Step("docker run --rm -v %me%data:/data alpine cat /data/f", shows=(r"\Akept\n\Z",)),
        ),
    ),
    Section(
        "connecting, events, info",
        (
            Step("docker network connect %me%br2 %me%c1"),
            Step("docker network inspect %me%br2", shows=('"Name": "%me%c1"', r'"IPv4Address": "192\.168\.%n%\.')),
            Step("docker network disconnect %me%br2 %me%c1"),
            Step("docker network inspect %me%br2", hides=('"Name": "%me%c1"',)),
            Step(
                "docker events --since $(( $(date +%s) - 60 )) --until $(( $(date +%s) + 1 ))",
                shows=(r"network disconnect .*name=%me%br2",),
                hides=(r"name=%other%(?!c1data)",),
            ),
            Step("docker version", shows=("Server", "Version")),
            Step("docker info", shows=("Server Version",)),
        ),
    ),
    Section(
        "what is somebody else's",
        (
            Step("docker  inspect  %other%c1", shows=("No such object: %other%c1",), code=1, guarded=True),
            Step("docker stop %other%c1", shows=("No such container: %other%c1",), code=1, guarded=True),
            Step("docker exec -it %other%c1 sh", shows=("No such container: %other%c1",), code=1, guarded=True),
            Step("docker run --rm --privileged alpine id", shows=("rivileged",), code=125, guarded=True),
            Step("docker run --rm -v /etc:/e alpine cat /e/shadow", shows=("host path",), hides=("root:",), code=125, guarded=True),
        ),
    ),
)

GOODBYE: Final = (
    Section(
        "clearing up",
        (
            Step("docker  rm  $(docker  ps -aq) -f", shows=(rf"\A({ID}\n)+\Z",)),
            Step("docker network rm %me%br1 %me%br2", shows=("^%me%br1$", "^%me%br2$")),
            Step("docker volume rm %me%data", shows=("^%me%data$",)),
            Step("docker rmi %me%webapp", shows=("Untagged: %me%webapp:latest",)),
        ),
    ),
)
REVOKED: Final = (
    Section(
        "the class is over",
        (
            Step("hostadmin access revoke %me%", by="trainer"),
            Step("docker  ps", shows=(r"hostadmin access grant %me%",), code=1),
            Step("grep -i docker  /etc/group", hides=(r"\b%me%\b",), by="trainer"),
        ),
    ),
)
THE_DAY: Final = MORNING + INSPECT + AFTERNOON + EVENING
