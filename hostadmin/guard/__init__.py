"""The one door to the Docker Engine for people: peer, wire, routes, rules, answers, streams."""
