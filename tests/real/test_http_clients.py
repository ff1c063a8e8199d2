"""Clients that offer HTTP/2 by Upgrade with each request, and one that closes its side after the request."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from mailsettings.dialects.oracle_analytics.examples import NO_AUTH

from support.external_programs import program
from support.processes import clean_environment, make_token, serving
from support.raw_http import Server, statuses

TOKEN = "/cxrestapi/auth/identity/connect/token"
MAIL_SERVER = "/api/20210901/system/mail/server"
FORM = urlencode({"grant_type": "password", "username": "admin", "password": "correct horse"})
JAVA = """
import java.net.URI;
import java.net.http.*;

public class Ask {
    static HttpClient client = HttpClient.newHttpClient();

    static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
        HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.statusCode());
        return answer;
    }

    public static void main(String[] given) throws Exception {
        String login = send(HttpRequest.newBuilder(URI.create(given[0] + given[1]))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(given[2]))).body();
        String token = login.replaceAll("(?s).*\\"access_token\\" *: *\\"([^\\"]*)\\".*", "$1");
        for (int time = 0; time < 3; time++) {
            send(HttpRequest.newBuilder(URI.create(given[0] + given[3]))
                .header("Authorization", "Bearer " + token)
                .header("Content-Type", "application/json")
                .PUT(HttpRequest.BodyPublishers.ofString(given[4])));
        }
        System.out.println(send(HttpRequest.newBuilder(URI.create(given[0] + given[3]))
            .header("Authorization", "Bearer " + token).GET()).body());
    }
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = clean_environment(tmp_path_factory.mktemp("server") / "data")
    with serving(environment) as (url, output):
        yield Server(url, make_token(environment), output)


@pytest.mark.needs("java")
def test_javas_http_client_logs_in_and_puts(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "Ask.java"
    source.write_text(JAVA)
    given = [server.url, TOKEN, FORM, MAIL_SERVER, json.dumps(NO_AUTH)]
    ran = subprocess.run(
        [program("java"), str(source), *given], capture_output=True, text=True, check=True, timeout=120
    )
    *answered, body = ran.stdout.split("\n", 5)

    assert answered == ["200"] * 5
    assert json.loads(body)["host"] == NO_AUTH["host"]


@pytest.mark.needs("curl")
@pytest.mark.parametrize("option", ["--http2", "--http1.1", "--http1.0"])
def test_curl_logs_in_and_puts(server: Server, option: str) -> None:
    command = [program("curl"), "-sS", option, "-w", "%{http_code} ", "-o", "/dev/null", "-o", "/dev/null"]
    put = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", json.dumps(NO_AUTH)]
    put += ["-H", f"Authorization: Bearer {server.token}", *[server.url + MAIL_SERVER] * 2]
    login, stored = (
        subprocess.run([*command, *more], capture_output=True, text=True, check=True)
        for more in (["-d", FORM, server.url + TOKEN], put)
    )

    assert login.stdout == "200 "
    assert stored.stdout == "200 200 "


@pytest.mark.needs("nc")
def test_nc_that_closes_its_side_gets_its_answer(server: Server) -> None:
    body = json.dumps(NO_AUTH)
    request = (
        f"PUT {MAIL_SERVER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    host, port = server.address
    ran = subprocess.run(
        [program("nc"), "-N", host, str(port)], input=request.encode(), capture_output=True, check=True, timeout=60
    )

    assert statuses(ran.stdout) == [200]
