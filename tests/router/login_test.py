"""Who is let in, and what the others are told."""
import re
import threading
import time

import psycopg
import pytest

from raw_client import GSS_REQUEST, RawClient, startup
from support.router import CLUSTER, RunningRouter
from support.scratch_server import ScratchServer

DENIED = "unable to accept connection, access denied"
READER = {"access_key_id": "AKIAREADER0000000000", "secret_access_key": "reader-secret",
          "arn": "arn:aws:iam::000000000000:user/reader",
          "policy": {"Version": "2012-10-17", "Statement": [
              {"Effect": "Allow", "Action": "dsql:DbConnect", "Resource": "*"}]}}
OUTSIDER = READER | {"access_key_id": "AKIAOUTSIDER00000000", "arn": "arn:aws:iam::000000000000:user/outsider",
                     "policy": {"Statement": [
                         {"Effect": "Allow", "Action": "dsql:*", "Resource": "*"},
                         {"Effect": "Deny", "Action": "dsql:DbConnectAdmin", "Resource": f"arn:aws:dsql:*:*:cluster/{CLUSTER}"}]}}


@pytest.fixture(scope="module")
def router(server):
    with RunningRouter(server.folder, keys={"reader.json": READER, "outsider.json": OUTSIDER}) as running:
        yield running


def refusal(router, **changes) -> tuple[str, str]:
    """What a driver gets: the text, which holds message, DETAIL and HINT."""
    with pytest.raises(psycopg.OperationalError) as caught:
        router.connect(**changes).close()
    text = str(caught.value)
    hint = re.search(r"HINT:  (.*)", text)
    return text, hint.group(1) if hint else ""


def test_a_token_of_the_sdk_opens_a_verified_connection(router):
    with router.connect() as connection:
        assert connection.execute("select current_user, current_setting('server_version')").fetchone() == ("admin", "16.15")
        assert connection.info.server_version == 160015
        assert connection.pgconn.ssl_in_use


def test_stock_psql_connects(router):
    done = router.psql("-c", "show server_version", "-c", "select version()")
    assert done.stdout.split("\n") == ["16.15", "PostgreSQL 16", ""], done.stderr


def test_direct_tls_connects(router):
    if psycopg.pq.version() < 170000:
        pytest.skip("this libpq has no sslnegotiation")
    with router.connect(sslnegotiation="direct") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_the_cluster_option_stands_in_for_the_name(router):
    options = f"-c amzn-cluster-id={CLUSTER}"
    with router.connect(host="localhost", options=options) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    with router.connect(host=None, sslmode="verify-ca", options=options) as connection:  # no SNI at all
        assert connection.execute("select 1").fetchone() == (1,)


def test_settings_in_the_startup_packet_hold(router):
    with router.connect(options="-c search_path=pg_catalog -c extra_float_digits=2", application_name="one") as connection:
        assert connection.execute("show search_path").fetchone() == ("pg_catalog",)
        assert connection.execute("show application_name").fetchone() == ("one",)


def test_an_expired_token_is_refused_with_the_recorded_form(router):
    token = router.token(expires=1)
    time.sleep(2.1)
    text, hint = refusal(router, password=token)
    assert DENIED in text
    assert re.search(r"DETAIL:  Session Id: [a-z2-7]{26}\n", text)
    assert hint.startswith("Signature expired: ")


def test_an_unknown_key_is_invalid(router):
    key = {"access_key_id": "AKIAUNKNOWN000000000", "secret_access_key": "x"}
    text, hint = refusal(router, password=router.token(key=key))
    assert DENIED in text
    assert hint == "The security token included in the request is invalid."


def test_a_wrong_secret_a_tampered_signature_and_a_foreign_host_do_not_match(router):
    for token in (router.token(key=router.info | {"secret_access_key": "x"}),
                  router.token()[:-1] + "!",
                  router.token(host=f"{'b' * 26}.dsql.us-east-1.on.aws")):
        text, hint = refusal(router, password=token)
        assert DENIED in text
        assert hint.startswith("The request signature we calculated does not match")


def test_a_token_of_another_region_is_refused(router):
    assert refusal(router, password=router.token(region="eu-west-1"))[1] == (
        "Credential should be scoped to a valid Region, not 'eu-west-1'.")


def test_action_and_user_must_fit(router):
    assert refusal(router, password=router.token(admin=False))[1] == (
        "Wrong user to action mapping. user: admin, action: DbConnect")
    assert refusal(router, user="app")[1] == "Wrong user to action mapping. user: app, action: DbConnectAdmin"


def test_a_role_without_a_mapping_is_refused(router):
    text, hint = refusal(router, user="app", password=router.token(admin=False))
    assert DENIED in text
    assert hint == 'IAM authentication failed for user "app"'


def test_the_policy_decides(router):
    assert refusal(router, password=router.token(key=READER))[1].startswith(
        "User: arn:aws:iam::000000000000:user/reader is not authorized to perform: dsql:DbConnectAdmin on resource: "
        f"arn:aws:dsql:us-east-1:000000000000:cluster/{CLUSTER} because no identity-based policy allows")
    assert "with an explicit deny in an identity-based policy" in refusal(router, password=router.token(key=OUTSIDER))[1]


def test_a_session_key_needs_its_token_and_its_policy(router):
    session = router.ask("session")
    assert refusal(router, password=router.token(key=session))[1].startswith(
        "User: arn:aws:sts::000000000000:assumed-role/none/f is not authorized")
    assert refusal(router, password=router.token(key=session | {"session_token": ""}))[1] == (
        "The security token included in the request is invalid.")


def test_a_password_that_is_no_token_is_refused_and_never_logged(router):
    text, _ = refusal(router, password="hunter2-secret")
    assert DENIED in text
    token = router.token()
    refusal(router, password=token + "0")
    assert "hunter2" not in router.log()
    assert token.split("X-Amz-Signature=")[1] not in router.log()


def test_without_sni_there_is_no_cluster(router):
    text, _ = refusal(router, host=None, sslmode="require")
    assert "unable to accept connection, sni was not received" in text


def test_names_of_no_cluster_are_refused(router):
    assert refusal(router, host="localhost")[1].startswith("localhost is not the endpoint of a cluster.")
    unknown = f"{'c' * 26}.dsql.us-east-1.on.aws"
    assert refusal(router, host=unknown, sslmode="require")[1] == "The cluster was not found."
    assert "certificate" in refusal(router, host=unknown)[0]  # we vouch for no name that we do not serve


def test_without_tls_nothing_is_said_but_why(router):
    text, hint = refusal(router, sslmode="disable")
    assert DENIED in text
    assert hint.startswith("TLS is required.")


def test_gss_encryption_is_declined_then_tls_goes_on(router):
    with RawClient(router.port) as client:
        client.send(GSS_REQUEST)
        assert client.receive_exactly(1) == b"N"
        client.log_in(router)
        assert client.greeting[-1] == ("Z", b"I")


@pytest.mark.parametrize("parameters, text", [
    ({"lc_numeric": "C"}, 'setting configuration parameter "lc_numeric" not supported'),
    ({"options": "-c work_mem=1GB"}, 'setting configuration parameter "work_mem" not supported'),
    ({"options": "-c session_authorization=zorya_owner"}, "not supported"),
    ({"replication": "database"}, 'setting configuration parameter "replication" not supported'),
])
def test_other_parameters_are_refused_in_the_startup_packet(router, parameters, text):
    with RawClient(router.port) as client:
        client.start_tls(router.host)
        client.send(startup(user="admin", database="postgres", **parameters))
        error = client.receive_error()
        assert (error["S"], error["C"]) == ("FATAL", "0A000")
        assert text in error["M"]


def test_another_database_does_not_exist(router):
    assert 'database "other" does not exist' in refusal(router, dbname="other")[0]


def test_a_client_that_does_not_trust_us_is_told_how_to_in_the_log(router, tmp_path):
    with RunningRouter(router.socket_folder) as foreign:
        text, _ = refusal(router, sslrootcert=foreign.ca_file)
    assert "certificate verify failed" in text
    assert f"sslrootcert={router.ca_file}" in router.log()


def test_limits_of_a_cluster_bind(server):
    with RunningRouter(server.folder, connections_max=2) as router:
        with router.connect(), router.connect():
            assert "Unable to accept connection, too many open connections." in refusal(router)[0]
    with RunningRouter(server.folder, rate=0.001, burst=2) as router:
        router.connect().close()
        router.connect().close()
        assert "Unable to accept connection, rate exceeded." in refusal(router)[0]


def test_a_server_that_is_not_there_is_waking_up(tmp_path):
    with RunningRouter(tmp_path, backend_patience=1) as router:
        assert "unable to accept connection, waking up cluster, please retry later" in refusal(router)[0]


def test_a_server_that_starts_again_is_waited_for():
    with ScratchServer() as own, RunningRouter(own.folder, backend_patience=50, login_deadline=60) as router:
        own.stop("fast")
        answers = []

        def connect():
            with router.connect(connect_timeout=60) as connection:
                answers.append(connection.execute("select 1").fetchone())

        waiting = threading.Thread(target=connect)
        waiting.start()
        own.start()
        waiting.join(timeout=60)
        assert answers == [(1,)]
