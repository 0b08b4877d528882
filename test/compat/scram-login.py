"""Logs in by SCRAM-SCRYPT, with nothing but Python's standard library.

Written from protocol/scram.md, core.md and login.md alone, as a second implementation.

    scram-login.py login HOST PORT USERNAME      the password comes on standard input; prints the answer as JSON
    scram-login.py vectors FILE                  computes the exchanges of protocol/vectors/scram; prints them as JSON
"""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import struct
import sys
import unicodedata

MECHANISM = "SCRAM-SCRYPT"
LEAST_BLOCK, MOST_BLOCK = 2**18, 2**21
LEAST_WORK, MOST_WORK = 786_432, 2**22


def b64(data):
    return base64.b64encode(data).decode("ascii")


def mac(key, text):
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).digest()


def attributes(text):
    return dict((part[0], part[2:]) for part in text.split(","))


def check_cost(n, r, p):
    is_power = n > 1 and n & (n - 1) == 0
    if not is_power or not LEAST_BLOCK <= n * r <= MOST_BLOCK or not LEAST_WORK <= n * r * p <= MOST_WORK:
        raise SystemExit("the server asks for a proof at a cost that is not allowed")


def salted_password(password, salt, n, r, p):
    secret = unicodedata.normalize("NFKC", password).encode("utf-8")
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=2**30, dklen=32)


class Exchange:
    def __init__(self, username, client_nonce, header="n,,", binding=b""):
        name = username.replace("=", "=3D").replace(",", "=2C")
        self.header, self.binding, self.client_nonce = header, binding, client_nonce
        self.bare = f"n={name},r={client_nonce}"
        self.client_first = header + self.bare

    def answer(self, server_first, password):
        found = attributes(server_first)
        nonce = found["r"]
        if not nonce.startswith(self.client_nonce) or len(nonce) < len(self.client_nonce) + 16:
            raise SystemExit("the nonce is not an answer to this login")
        if found["k"] != "scrypt":
            raise SystemExit("the server names another function")
        n, r, p = int(found["i"]), int(found["b"]), int(found["l"])
        check_cost(n, r, p)
        salted = salted_password(password, base64.b64decode(found["s"]), n, r, p)
        without_proof = f"c={b64(self.header.encode() + self.binding)},r={nonce}"
        self.auth_message = f"{self.bare},{server_first},{without_proof}"
        self.client_key = mac(salted, "Client Key")
        self.stored_key = hashlib.sha256(self.client_key).digest()
        self.server_key = mac(salted, "Server Key")
        self.salted = salted
        signature = mac(self.stored_key, self.auth_message)
        proof = bytes(a ^ b for a, b in zip(self.client_key, signature))
        self.client_final = f"{without_proof},p={b64(proof)}"
        self.server_final = f"v={b64(mac(self.server_key, self.auth_message))}"
        return self.client_final


class WebSocket:
    """RFC 6455, text frames of at most 65,535 bytes."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=60)
        self.buffer = b""
        key = b64(os.urandom(16))
        self.socket.sendall(
            f"GET /api/websocket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: gatehouse.v1.json\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if not re.match(rb"HTTP/1\.1 101 ", head):
            raise SystemExit(head.decode())

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the connection has ended")
        self.buffer += data

    def take(self, size):
        while len(self.buffer) < size:
            self.fill()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send(self, message):
        self.frame(1, json.dumps(message).encode("utf-8"))

    def frame(self, kind, data):
        mask = os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        self.socket.sendall(bytes([0x80 | kind]) + size + mask + masked)

    def receive(self):
        while True:
            kind, size = self.take(2)
            if size == 126:
                (size,) = struct.unpack(">H", self.take(2))
            data = self.take(size)
            if kind == 0x89:
                self.frame(10, data)
            elif kind == 0x88:
                raise SystemExit(f"closed: {data[2:].decode()}")
            elif kind == 0x81:
                return json.loads(data)


def login(host, port, username, password):
    ws = WebSocket(host, int(port))
    if ws.receive()["type"] != "auth_required":
        raise SystemExit("not a gateway")
    exchange = Exchange(username, secrets.token_urlsafe(18))
    start = {"id": 1, "type": "auth/login/start", "handler": ["homeassistant", None]}
    ws.send({**start, "mechanism": MECHANISM, "initial_response": exchange.client_first})
    step = ws.receive()["result"]
    if step.get("step_id") != "scram":
        raise SystemExit("the server does not offer the mechanism")
    client_final = exchange.answer(step["description_placeholders"]["server_first"], password)
    answer = {"id": 2, "type": "auth/login/step", "flow_id": step["flow_id"]}
    ws.send({**answer, "user_input": {"client_final": client_final}})
    step = ws.receive()["result"]
    if step["type"] != "create_entry":
        return {"type": step["type"], "errors": step.get("errors")}
    if not hmac.compare_digest(step.get("server_final", ""), exchange.server_final):
        raise SystemExit("the server did not prove that it knows the password")
    if ws.receive()["type"] != "auth_ok":
        raise SystemExit("no auth_ok")
    ws.send({"id": 3, "type": "auth/current_user"})
    return {"type": "auth_ok", "user": ws.receive()["result"]["name"]}


def vectors(file):
    with open(file, encoding="utf-8") as opened:
        given = json.load(opened)
    computed = []
    for each in given:
        binding = bytes.fromhex(each["channel_binding"] or "")
        exchange = Exchange(each["username"], each["client_nonce"], each["gs2_header"], binding)
        cost = f"i={each['N']},k=scrypt,b={each['r']},l={each['p']}"
        server_first = f"r={each['client_nonce']}{each['server_nonce']},s={each['salt']},{cost}"
        exchange.answer(server_first, each["password"])
        computed.append(
            {
                **each,
                "client_first": exchange.client_first,
                "server_first": server_first,
                "auth_message": exchange.auth_message,
                "salted_password": exchange.salted.hex(),
                "client_key": exchange.client_key.hex(),
                "stored_key": exchange.stored_key.hex(),
                "server_key": exchange.server_key.hex(),
                "client_final": exchange.client_final,
                "server_final": exchange.server_final,
            }
        )
    return computed


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "vectors":
        result = vectors(*arguments)
    else:
        result = login(*arguments, sys.stdin.read())
    print(json.dumps(result, ensure_ascii=False, indent=2))
