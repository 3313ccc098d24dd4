#include "function_host/runtimes.h"

#include "base/files.h"
#include "function_host/interpreters.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace zorya::function_host {
namespace {

namespace fs = std::filesystem;
using base::Code;

class Scratch : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/var/tmp/zorya-runtimes-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::permissions(folder_, fs::perms(0755));
    auto launcher = base::Launcher::create();
    ASSERT_TRUE(launcher) << launcher.error().message;
    launcher_ = *std::move(launcher);
    fs::create_directories(folder_ / "code");
    fs::create_directories(folder_ / "bin");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const fs::path& path, const std::string& text, mode_t mode = 0644) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }

  /// A program that answers the probe as a Python of this version would.
  void write_python(const std::string& name, const std::string& version,
                    const std::string& implementation = "cpython") {
    write(folder_ / "bin" / name,
          fmt::format("#!/bin/sh\nprintf 'zorya-probe\\t{}\\t{}\\t{}\\t{}\\n'\n", implementation,
                      version, (folder_ / "bin" / name).string(), folder_.string()),
          0755);
  }

  InterpreterSearch search() { return {*launcher_, {folder_ / "bin"}}; }

  fs::path folder_;
  std::unique_ptr<base::Launcher> launcher_;
};

using Interpreters = Scratch;

TEST_F(Interpreters, ARealPythonIsFoundByRunningIt) {
  auto found = search().probe("/usr/bin/python3");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->prefix, "/usr");
  EXPECT_TRUE(found->version.starts_with(fmt::format("3.{}.", found->minor)));
  EXPECT_FALSE(fs::is_symlink(found->executable));
}

TEST_F(Interpreters, TheExactVersionIsTaken) {
  write_python("python3.11", "3.11.2");
  write_python("python3.12", "3.12.1");
  auto found = search().find(12, true);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->version, "3.12.1");
}

TEST_F(Interpreters, AGenericNameCountsByItsVersion) {
  write_python("python3", "3.12.4");
  auto found = search().find(12, false);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->version, "3.12.4");
}

TEST_F(Interpreters, AnAbsentVersionIsAnErrorThatNamesWhatIsThere) {
  write_python("python3.11", "3.11.2");
  auto found = search().find(12, false);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kNotFound);
  EXPECT_NE(found.error().message.find("no Python 3.12 on this machine"), std::string::npos);
  EXPECT_NE(found.error().message.find("(3.11.2)"), std::string::npos);
  EXPECT_NE(found.error().hint.find("--nearest-runtime"), std::string::npos);
}

TEST_F(Interpreters, TheNearestIsTheClosestAndOfTwoTheHigher) {
  write_python("python3.9", "3.9.1");
  write_python("python3.11", "3.11.2");
  write_python("python3.13", "3.13.0");
  auto found = search().find(12, true);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->version, "3.13.0");
}

TEST_F(Interpreters, AShimThatCannotRunIsRejectedWithItsWords) {
  write(folder_ / "bin" / "python3.12", "#!/bin/sh\necho 'pyenv: version not set' >&2\nexit 127\n",
        0755);
  auto found = search().find(12, true);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("exit status 127: pyenv: version not set"),
            std::string::npos)
      << found.error().message;
}

TEST_F(Interpreters, WhatIsNoCpythonOrTooOldIsRejected) {
  write_python("python3.12", "3.12.0", "pypy");
  EXPECT_NE(search().find(12, true).error().message.find("is pypy 3.12.0"), std::string::npos);
  write_python("python3.12", "3.8.1");
  EXPECT_NE(search().find(12, true).error().message.find("is cpython 3.8.1"), std::string::npos);
  write(folder_ / "bin" / "python3.12", "#!/bin/sh\necho hello\n", 0755);
  EXPECT_NE(search().find(12, true).error().message.find("did not answer"), std::string::npos);
}

TEST_F(Interpreters, APythonUnderTmpIsRejectedForItIsHiddenInside) {
  write(folder_ / "bin" / "python3.12",
        "#!/bin/sh\nprintf 'zorya-probe\\tcpython\\t3.12.1\\t/tmp/p/bin/python3.12\\t/tmp/p\\n'\n",
        0755);
  EXPECT_NE(search().find(12, true).error().message.find("lies under /tmp"), std::string::npos);
}

TEST_F(Interpreters, APrefixThatAnEnvironmentCannotReadIsRejected) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root starts environments as another user";
  write_python("python3.12", "3.12.1");
  fs::permissions(folder_ / "bin", fs::perms(0700));
  EXPECT_FALSE(search().find(12, true));
}

class RuntimesTest : public Scratch {
 protected:
  void SetUp() override {
    Scratch::SetUp();
    fs::create_directories(folder_ / "library/python");
    fs::copy((fs::path(ZORYA_TESTDATA) / "../python").lexically_normal(),
             folder_ / "library/python", fs::copy_options::recursive);
    // No registry in a unit test: a wheel made here is all that runtime and function ask for.
    write(folder_ / "library/python/runtime-requirements.txt", "tiny-thing==1.0\n");
    make_wheel();
    ::setenv("PIP_NO_INDEX", "1", 1);
    ::setenv("PIP_FIND_LINKS", (folder_ / "wheels").c_str(), 1);
    spec_.name = "f";
    spec_.runtime = "python3.11";
    spec_.handler = "app.handler";
    write(folder_ / "code/app.py", "");
  }

  void make_wheel() {
    fs::create_directories(folder_ / "wheels");
    const std::string script = fmt::format(
        "import zipfile\n"
        "w = zipfile.ZipFile('{}/tiny_thing-1.0-py3-none-any.whl', 'w')\n"
        "w.writestr('tiny_thing.py', 'def f(): raise ValueError\\n')\n"
        "i = 'tiny_thing-1.0.dist-info/'\n"
        "w.writestr(i + 'METADATA', 'Metadata-Version: 2.1\\nName: tiny-thing\\nVersion: 1.0\\n')\n"
        "w.writestr(i + 'WHEEL', "
        "'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "w.writestr(i + 'RECORD', 'tiny_thing.py,,\\n' + i + 'METADATA,,\\n' + i + 'WHEEL,,\\n')\n"
        "w.close()\n",
        (folder_ / "wheels").string());
    base::ChildSpec spec;
    spec.argv = {"/usr/bin/python3", "-c", script};
    auto ran = launcher_->run(std::move(spec), std::chrono::seconds{20});
    ASSERT_TRUE(ran) << ran.error().message;
    ASSERT_EQ(ran->exit_status, 0) << ran->output;
  }

  std::unique_ptr<Runtimes> runtimes() {
    Runtimes::Options options;
    options.data_folder = folder_ / "data";
    options.library_folder = folder_ / "library";
    options.launcher = launcher_.get();
    options.interpreters["python3.11"] = "/usr/bin/python3";
    options.interpreters["python3.12"] = "/usr/bin/python3";
    return *make_runtimes(std::move(options));
  }

  static fs::path mounted_at(const RuntimeImage& image, const std::string& inside) {
    for (const auto& mount : image.read_only_mounts) {
      if (mount.inside == inside) return mount.host;
    }
    return {};
  }

  FunctionSpec spec_;
};

TEST_F(RuntimesTest, ProvidedStartsBootstrapAndRefusesCodeWithoutOne) {
  spec_.runtime = "provided.al2023";
  auto refused = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no executable file bootstrap"), std::string::npos);
  write(folder_ / "code/bootstrap", "#!/bin/sh\n", 0755);
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->argv, std::vector<std::string>{"/var/task/bootstrap"});
  EXPECT_FALSE(image->can_clone);
}

TEST_F(RuntimesTest, UnknownRuntimesAreRefusedByName) {
  for (const char* name : {"nodejs22.x", "python", "python3.", "python3.1x", "python2.7", ""}) {
    spec_.runtime = name;
    auto image = runtimes()->prepare(spec_, folder_ / "code");
    ASSERT_FALSE(image) << name;
    EXPECT_EQ(image.error().code, Code::kUnimplemented);
  }
}

TEST_F(RuntimesTest, SnapStartIsRefusedWhereTheServiceRefusesIt) {
  spec_.snap_start = SnapStart::kPublishedVersions;
  for (const char* name : {"python3.11", "provided.al2023"}) {
    spec_.runtime = name;
    auto image = runtimes()->prepare(spec_, folder_ / "code");
    ASSERT_FALSE(image) << name;
    EXPECT_EQ(image.error().message,
              std::string(name) + " is not supported for SnapStart enabled functions.");
  }
  spec_.runtime = "python3.12";
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  EXPECT_TRUE(image) << image.error().message;
}

TEST_F(RuntimesTest, PythonGetsItsRuntimeFolderCompiledAndReadOnlyToOthers) {
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->argv.back(), "/var/runtime/bootstrap.py");
  EXPECT_TRUE(mounted_at(*image, "/opt/python").empty());
  const fs::path runtime = mounted_at(*image, "/var/runtime");
  EXPECT_TRUE(fs::exists(runtime / "bootstrap.py"));
  EXPECT_FALSE(fs::is_empty(runtime / "zorya_runtime/__pycache__"));
  struct stat status {};
  ASSERT_EQ(::stat(runtime.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, ::geteuid());
  EXPECT_EQ(status.st_mode & 0777, 0755u);
  EXPECT_FALSE(image->can_clone) << "there is no clone library in this library folder";
}

TEST_F(RuntimesTest, RequirementsAreInstalledOnceAndKeyedByTheirText) {
  write(folder_ / "code/requirements.txt", "tiny-thing==1.0\n");
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  const fs::path first = mounted_at(*image, "/opt/python");
  EXPECT_TRUE(fs::exists(first / "tiny_thing.py"));
  EXPECT_FALSE(fs::is_empty(first / "__pycache__"));
  write(first / "mark", "");

  image = runtimes()->prepare(spec_, folder_ / "code");  // a second start of the program
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(mounted_at(*image, "/opt/python"), first);
  EXPECT_TRUE(fs::exists(first / "mark")) << "installed again";

  write(folder_ / "code/requirements.txt", "tiny-thing\n");
  image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_NE(mounted_at(*image, "/opt/python"), first);
}

TEST_F(RuntimesTest, NewFilesOfOursNeedNoPackageIndex) {
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  const fs::path before = mounted_at(*image, "/var/runtime");
  ::setenv("PIP_FIND_LINKS", "/nowhere", 1);
  write(folder_ / "library/python/zorya_runtime/added.py", "x = 1\n");
  image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  const fs::path after = mounted_at(*image, "/var/runtime");
  EXPECT_NE(after, before);
  EXPECT_TRUE(fs::exists(after / "zorya_runtime/added.py"));
  EXPECT_TRUE(fs::exists(after / "tiny_thing.py")) << "the packages came along";
  EXPECT_FALSE(fs::exists(before)) << "what an earlier program composed is removed";
}

TEST_F(RuntimesTest, ATornInstallIsMadeAnew) {
  write(folder_ / "code/requirements.txt", "tiny-thing==1.0\n");
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  const fs::path place = mounted_at(*image, "/opt/python");
  fs::remove(place / ".zorya-key");
  fs::remove(place / "tiny_thing.py");
  image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_TRUE(fs::exists(place / "tiny_thing.py"));
}

TEST_F(RuntimesTest, AFailedInstallSaysWhatPipSaidAndLeavesNothing) {
  write(folder_ / "code/requirements.txt", "absent-thing==9\n");
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, Code::kFailedPrecondition);
  EXPECT_NE(image.error().message.find("function f"), std::string::npos);
  EXPECT_NE(image.error().message.find("No matching distribution found for absent-thing==9"),
            std::string::npos)
      << image.error().message;
  EXPECT_TRUE(fs::is_empty(folder_ / "data/packages/f"));
}

TEST_F(RuntimesTest, WhatAKilledInstallLeftIsRemovedByTheNext) {
  // No process has this number: it is above the kernel's bound.
  const fs::path abandoned = "/var/tmp/zorya-install-4194305-test";
  const fs::path in_use = "/var/tmp/zorya-install-" + std::to_string(::getpid()) + "-test";
  write(abandoned / "packages/x.py", "");
  write(in_use / "packages/x.py", "");
  write(folder_ / "code/requirements.txt", "tiny-thing==1.0\n");
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_FALSE(fs::exists(abandoned));
  EXPECT_TRUE(fs::exists(in_use));
  fs::remove_all(in_use);
}

TEST_F(RuntimesTest, PipRunsAsAnotherUserWhenWeAreRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "there is no other user to become";
  // A requirements file that names one that only root can read.
  write(folder_ / "secret.txt", "tiny-thing==1.0\n", 0600);
  write(folder_ / "code/requirements.txt", fmt::format("-r {}/secret.txt\n", folder_.string()));
  auto image = runtimes()->prepare(spec_, folder_ / "code");
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().message.find("Permission denied"), std::string::npos)
      << image.error().message;
}

TEST_F(RuntimesTest, ANameThatIsNoFunctionNameNeverBecomesAFolder) {
  for (const char* name : {"", "..", "a/b", "a b"}) {
    spec_.name = name;
    EXPECT_FALSE(runtimes()->prepare(spec_, folder_ / "code")) << name;
  }
}

}  // namespace
}  // namespace zorya::function_host
