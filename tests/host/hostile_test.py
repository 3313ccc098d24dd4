"""A function whose INIT turns against the host: the host goes on, and says what it saw."""

from host import FUNCTIONS, PYTHON, SNAP_START, Host


def start(mode, data, *options):
    return Host("--code", FUNCTIONS / "hostile", "--timeout", "10", "--env", "MODE=" + mode, *PYTHON, *SNAP_START,
                *options, data=data)


def test_descriptors_that_are_no_listeners_are_refused(data):
    with start("zero", data) as host:
        assert host.publish()["restore_path"] == "cold"
        assert host.status()["parked"] == 0


def test_listeners_that_were_shut_down_end_the_environment(data):
    with start("shut", data, "--parked", "1") as host:
        host.publish()
        host.invoke({})
        used = open(f"/proc/{host.process.pid}/stat").read().split()
        host.invoke({})
        assert host.status()["busy"] == 0
        now = open(f"/proc/{host.process.pid}/stat").read().split()
        assert int(now[13]) - int(used[13]) < 200  # ticks: the loop does not spin


def test_a_template_that_never_answers_is_given_up(data):
    with start("silent", data) as host:
        assert host.publish()["restore_path"] == "cold"


def test_noise_on_the_control_socket_is_passed_over(data):
    with start("noise", data) as host:
        assert "exit status 3" in host.publish()["error"]
