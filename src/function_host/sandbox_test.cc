#include "function_host/sandbox.h"

#include "base/files.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <string>

namespace zorya::function_host {
namespace {

using std::chrono::milliseconds;

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  pollfd wait{fd, POLLIN, 0};
  while (::poll(&wait, 1, 10'000) > 0) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto launcher = base::Launcher::create();
    ASSERT_TRUE(launcher);
    launcher_ = std::move(*launcher);
    spec_.map_uid = ::geteuid() == 0 ? 100'000 : ::geteuid();
    spec_.map_gid = ::geteuid() == 0 ? 100'000 : ::getegid();
    spec_.environment = {"PATH=/usr/bin:/bin"};
  }

  /// Runs a shell script inside; its output.
  std::string run(const std::string& script) {
    spec_.argv = {"/bin/sh", "-c", script};
    auto maker = SandboxMaker::create(*launcher_, base::program_folder() / "../lib/zorya");
    if (!maker) return base::to_string(maker.error());
    auto sandbox = maker->start(spec_, {});
    if (!sandbox) return base::to_string(sandbox.error());
    std::string output = read_all(sandbox->log.get());
    for (;;) {
      const ControlMessage message = receive_control(sandbox->control.get(), milliseconds(5000));
      if (message.bytes.empty()) break;
      if (message.bytes[0] == 'E') output += message.bytes;
      if (message.bytes[0] == 'W') break;
    }
    end_sandbox(*sandbox);
    return output;
  }

  std::unique_ptr<base::Launcher> launcher_;
  SandboxSpec spec_;
};

TEST_F(SandboxTest, RunsAProgramAsThePlainInsideUser) {
  EXPECT_EQ(run("id -u; id -g; pwd; echo $$"), "1000\n1000\n/var/task\n2\n");
}

TEST_F(SandboxTest, ShowsNoFileOfTheHostButTheSystem) {
  EXPECT_EQ(run("ls / | grep -v lib; ls /etc/shadow /root /home 2>&1 | wc -l"),
            "bin\ndev\netc\nopt\nproc\nrun\nsbin\ntinit\ntmp\nusr\nvar\n3\n");
}

TEST_F(SandboxTest, LetsOnlyTmpBeWritten) {
  EXPECT_EQ(run("for d in / /usr /etc /var/task /run /opt /dev; do (echo x > $d/f) 2>/dev/null && "
                "echo wrote $d; done; echo x > /tmp/f && cat /tmp/f"),
            "x\n");
}

TEST_F(SandboxTest, KeepsNoCapabilityAndNoNewPrivileges) {
  EXPECT_EQ(run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'"),
            "CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\n"
            "CapBnd:0000000000000000\nCapAmb:0000000000000000\nNoNewPrivs:1\nSeccomp:2\n");
}

TEST_F(SandboxTest, SeesOnlyItsOwnProcesses) { EXPECT_EQ(run("cd /proc; echo [0-9]*"), "1 2\n"); }

TEST_F(SandboxTest, SaysWhyAProgramCannotStart) {
  spec_.argv = {"/var/task/absent"};
  auto maker = SandboxMaker::create(*launcher_, base::program_folder() / "../lib/zorya");
  ASSERT_TRUE(maker);
  auto sandbox = maker->start(spec_, {});
  ASSERT_TRUE(sandbox);
  const ControlMessage message = receive_control(sandbox->control.get(), milliseconds(5000));
  EXPECT_EQ(message.bytes, "Estart /var/task/absent: No such file or directory");
  end_sandbox(*sandbox);
}

TEST_F(SandboxTest, BoundsTmp) {
  spec_.tmp_mb = 8;
  EXPECT_NE(run("dd if=/dev/zero of=/tmp/f bs=1M count=9 2>&1").find("No space left"),
            std::string::npos);
}

}  // namespace
}  // namespace zorya::function_host
