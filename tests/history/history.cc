#include "history.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace zorya::history {
namespace {

constexpr char kOutcomes[] = {'c', 'a', 'u'};
constexpr char kKinds[] = {'r', 'l', 'a'};

base::Error damaged(const std::string& path, std::size_t line) {
  return {base::Code::kInvalidArgument, fmt::format("{}:{}: not a line of a history", path, line),
          "write it with --save"};
}

template <std::size_t N>
int index_of(const char (&letters)[N], char letter) {
  for (std::size_t i = 0; i < N; ++i) {
    if (letters[i] == letter) return static_cast<int>(i);
  }
  return -1;
}

bool read_transaction(std::istream& in, History* history) {
  Transaction transaction;
  char outcome = 0;
  if (!(in >> outcome >> transaction.began_ns >> transaction.ended_ns)) return false;
  const int index = index_of(kOutcomes, outcome);
  if (index < 0) return false;
  transaction.outcome = static_cast<Outcome>(index);
  char kind = 0;
  while (in >> kind) {
    Operation operation;
    const int kind_index = index_of(kKinds, kind);
    if (kind_index < 0) return false;
    operation.kind = static_cast<Operation::Kind>(kind_index);
    if (!(in >> operation.key >> operation.length >> operation.digest >> operation.value))
      return false;
    transaction.operations.push_back(operation);
  }
  history->transactions.push_back(std::move(transaction));
  return true;
}

bool read_list(std::istream& in, History* history) {
  Key key = 0;
  if (!(in >> key)) return false;
  std::vector<Value>& list = history->lists[key];
  Value value = 0;
  while (in >> value) list.push_back(value);
  return in.eof();
}

}  // namespace

std::uint64_t digest_of(const std::vector<Value>& list) {
  std::uint64_t digest = kEmptyDigest;
  for (const Value value : list) digest = digest_with(digest, value);
  return digest;
}

base::Result<void> save(const History& history, const std::string& path) {
  std::ofstream out(path);
  for (const Transaction& transaction : history.transactions) {
    out << "T " << kOutcomes[static_cast<int>(transaction.outcome)] << ' ' << transaction.began_ns
        << ' ' << transaction.ended_ns;
    for (const Operation& operation : transaction.operations) {
      out << ' ' << kKinds[static_cast<int>(operation.kind)] << ' ' << operation.key << ' '
          << operation.length << ' ' << operation.digest << ' ' << operation.value;
    }
    out << '\n';
  }
  for (const auto& [key, list] : history.lists) {
    out << "L " << key;
    for (const Value value : list) out << ' ' << value;
    out << '\n';
  }
  for (const std::string& oddity : history.oddities) out << "O " << oddity << '\n';
  out.close();
  if (!out) return base::Error{base::Code::kIo, fmt::format("write {}", path), ""};
  return {};
}

base::Result<History> load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return base::Error{base::Code::kNotFound, fmt::format("open {}", path), ""};
  History history;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    std::istringstream in(line);
    char what = 0;
    in >> what;
    if (what == 'O') {
      history.oddities.push_back(line.substr(2));
      continue;
    }
    const bool good = what == 'T'   ? read_transaction(in, &history)
                      : what == 'L' ? read_list(in, &history)
                                    : false;
    if (!good) return damaged(path, number);
  }
  return history;
}

}  // namespace zorya::history
