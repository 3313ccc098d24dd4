#include "base/files.h"

#include "base/random.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

namespace zorya::base {
namespace {

Result<void> write_all(int fd, std::string_view content, const std::string& what) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno_error(what, errno);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t size_bytes_max) {
  const std::string what = "read " + path.string();
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(what, errno);
  std::string content;
  char buffer[65536];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error(what, errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > size_bytes_max) {
      return Error{Code::kResourceExhausted,
                   what + ": longer than " + std::to_string(size_bytes_max) + " bytes",
                   {}};
    }
  }
}

Result<void> sync_path(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error("open " + path.string(), errno);
  if (::fsync(fd.get()) != 0) return errno_error("sync " + path.string(), errno);
  return {};
}

Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view content,
                                   mode_t mode) {
  const std::filesystem::path temporary = path.string() + ".new-" + random_alphanumeric(8);
  const std::string what = "write " + path.string();
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return errno_error(what, errno);
  const auto fail = [&](Error error) {
    ::unlink(temporary.c_str());
    return error;
  };
  if (::fchmod(fd.get(), mode) != 0) return fail(errno_error(what, errno));
  if (auto written = write_all(fd.get(), content, what); !written) return fail(written.error());
  if (::fsync(fd.get()) != 0) return fail(errno_error(what, errno));
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail(errno_error(what, errno));
  const std::filesystem::path folder = path.parent_path();
  return sync_path(folder.empty() ? std::filesystem::path(".") : folder);
}

Result<void> make_folder(const std::filesystem::path& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return errno_error("make folder " + path.string(), error.value());
  if (::chmod(path.c_str(), mode) != 0) return errno_error("chmod " + path.string(), errno);
  return {};
}

Result<void> copy_tree(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::copy(
      from, to,
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks,
      error);
  if (error) return errno_error("copy " + from.string() + " to " + to.string(), error.value());
  return {};
}

Result<UniqueFd> lock_file(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return errno_error("open " + path.string(), errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return errno_error("lock " + path.string(), errno);
    std::string holder = "another process";
    if (auto text = read_file(path, 64); text && !text->empty()) holder = "process " + *text;
    return Error{
        Code::kFailedPrecondition, path.parent_path().string() + " is in use by " + holder, {}};
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) != 0) return errno_error("truncate " + path.string(), errno);
  ZORYA_TRY(write_all(fd.get(), pid, "write " + path.string()));
  return fd;
}

std::filesystem::path program_folder() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  CHECK(!error, "/proc/self/exe cannot be read");
  return program.parent_path();
}

}  // namespace zorya::base
