"""Ordinary work with aiodocker; prints what it sees."""

import asyncio
import io
import tarfile

import aiodocker


async def main() -> None:
    """Do the day."""
    async with aiodocker.Docker() as docker:
        print((await docker.version())["Os"])
        events = docker.events.subscribe()
        await asyncio.sleep(0.3)  # subscribed: the first event must be the container's
        c = await docker.containers.create_or_replace(
            name="aio1", config={"Image": "alpine", "Cmd": ["sh"], "Tty": False, "OpenStdin": True, "Labels": {"a": "b"}}
        )
        await c.start()
        seen = []
        while "start" not in seen:
            event = await asyncio.wait_for(events.get(), 10)
            if event["Type"] == "container":
                seen.append(event["Action"])
        print(seen)
        shown = await c.show()
        print(shown["Name"], shown["State"]["Status"], shown["Config"]["Cmd"])
        print([x["Names"] for x in await docker.containers.list()])
        execution = await c.exec(["sh", "-c", "echo out; echo err >&2; exit 4"])
        async with execution.start() as stream:
            parts = []
            while (message := await stream.read_out()) is not None:
                parts.append((message.stream, message.data))
        print(sorted(parts), (await execution.inspect())["ExitCode"])
        talk = await c.exec(["cat"], stdin=True)
        async with talk.start() as stream:
            await stream.write_in(b"over\n")
            print((await stream.read_out()).data)
        async with c.attach(stdin=True, stdout=True, stderr=True, logs=False) as stream:
            await stream.write_in(b"echo sum-$((40+2))\n")
            print((await stream.read_out()).data)
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            info = tarfile.TarInfo("note")
            info.size = 5
            tar.addfile(info, io.BytesIO(b"note\n"))
        await c.put_archive("/root", data.getvalue())
        tar = await c.get_archive("/root/note")
        print(tar.getnames())
        done = await docker.containers.run(config={"Image": "alpine", "Cmd": ["sh", "-c", "echo a; echo b; exit 3"]}, name="aio2")
        print(await done.wait(), await done.log(stdout=True, stderr=True))
        print([line async for line in done.log(stdout=True, follow=True)])
        volume = await docker.volumes.create({"Name": "aiovol"})
        print((await volume.show())["Name"], [v["Name"] for v in (await docker.volumes.list())["Volumes"]])
        network = await docker.networks.create({"Name": "aionet"})
        await network.connect({"Container": "aio1"})
        print([x["Name"] for x in (await network.show())["Containers"].values()])
        await network.disconnect({"Container": "aio1"})
        await docker.images.tag("alpine", repo="aioown", tag="v1")
        print((await docker.images.inspect("aioown:v1"))["RepoTags"])
        print(await docker.images.delete("aioown:v1"))
        stats = await c.stats(stream=False)
        print(sorted(stats[0])[:4])
        for wrong in (docker.containers.get("nosuch"), docker.images.inspect("nosuch")):
            try:
                await wrong
            except aiodocker.DockerError as error:
                print(error.status)
        await c.restart(timeout=0)
        await c.kill()
        for x in (c, done):
            await x.delete(force=True)
        await network.delete()
        await volume.delete()
        print(await docker.containers.list(all=True))
        await docker.events.stop()


asyncio.run(main())
