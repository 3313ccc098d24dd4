#include "router/relay.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

using namespace std::string_literals;
using pgwire::TransactionStatus;

std::string message(char type, std::string_view body = {}) {
  std::string out;
  pgwire::append_message(out, type, body);
  return out;
}

std::string parse(std::string_view name, std::string_view sql) {
  return message('P', std::string(name) + '\0' + std::string(sql) + "\0\0\0"s);
}
std::string bind(std::string_view portal, std::string_view statement) {
  return message('B', std::string(portal) + '\0' + std::string(statement) + "\0\0\0\0\0\0\0"s);
}
std::string describe(char kind, std::string_view name) {
  return message('D', std::string(1, kind) + std::string(name) + '\0');
}
std::string query(std::string_view sql) { return message('Q', std::string(sql) + '\0'); }
std::string ready(char status = 'I') { return message('Z', std::string(1, status)); }
std::string error(std::string state, std::string text) {
  std::string out;
  pgwire::append_error(out, {.sqlstate = std::move(state), .message = std::move(text)});
  return out;
}
std::string notice(std::string state, std::string text) {
  std::string out;
  pgwire::append_notice(
      out, {.severity = "NOTICE", .sqlstate = std::move(state), .message = std::move(text)});
  return out;
}
std::string job_column() {
  std::string out;
  pgwire::append_row_description(out, "job_id");
  return out;
}
std::string row(std::string_view value) {
  std::string out;
  pgwire::append_data_row(out, value);
  return out;
}

class RelayTest : public testing::Test {
 protected:
  std::string client(const std::string& in, RelayStatus expected = RelayStatus::kGoesOn) {
    std::string out;
    EXPECT_EQ(relay_.from_client(in, out), expected);
    return out;
  }
  std::string backend(const std::string& in, RelayStatus expected = RelayStatus::kGoesOn) {
    std::string out;
    EXPECT_EQ(relay_.from_backend(in, out), expected);
    return out;
  }
  Relay relay_{TransactionStatus::kIdle};
};

TEST_F(RelayTest, OrdinaryMessagesPassUnchanged) {
  const std::string in = query("select 1") + parse("s", "select $1") + bind("", "s") +
                         describe('P', "") + message('E', "\0\0\0\0\0"s) + message('S') +
                         message('d', "copy data") + message('c') + message('H');
  EXPECT_EQ(client(in), in);
  const std::string out = message('T', "row") + message('D', "data") + message('C', "SELECT 1\0"s) +
                          ready('T') + message('1') + message('2') + message('n') + ready();
  EXPECT_EQ(backend(out), out);
}

TEST_F(RelayTest, FollowsTheTransaction) {
  client(query("begin") + query("select"));
  EXPECT_TRUE(relay_.is_busy());
  backend(ready('T'));
  EXPECT_EQ(relay_.transaction_status(), TransactionStatus::kInBlock);
  EXPECT_TRUE(relay_.is_busy());
  backend(error("42601", "syntax") + ready('E'));
  EXPECT_EQ(relay_.transaction_status(), TransactionStatus::kFailed);
  EXPECT_FALSE(relay_.is_busy());
}

TEST_F(RelayTest, AJobsNoticeIsARowOfASimpleQuery) {
  EXPECT_EQ(client(query("create index async i on t(v)")), query("create index /*a*/ i on t(v)"));
  EXPECT_EQ(backend(notice("ZR001", "job7") + message('C', "CREATE INDEX\0"s) + ready()),
            job_column() + row("job7") + message('C', "CREATE INDEX\0"s) + ready());
}

TEST_F(RelayTest, AJobsNoticeIsARowOfAPortal) {
  EXPECT_EQ(client(parse("", "create index async i on t(v)") + bind("", "") + describe('P', "") +
                   message('E', "\0\0\0\0\0"s) + message('S')),
            parse("", "create index /*a*/ i on t(v)") + bind("", "") + describe('P', "") +
                message('E', "\0\0\0\0\0"s) + message('S'));
  EXPECT_EQ(backend(message('1') + message('2') + message('n') + notice("ZR001", "job7") +
                    message('C', "CREATE INDEX\0"s) + ready()),
            message('1') + message('2') + job_column() + row("job7") +
                message('C', "CREATE INDEX\0"s) + ready());
}

TEST_F(RelayTest, ANamedStatementKeepsItsDescriptionUntilItIsClosed) {
  client(parse("x", "create index async i on t(v)") + describe('S', "x") + message('S'));
  EXPECT_EQ(backend(message('1') + message('t', "\0\0"s) + message('n') + ready()),
            message('1') + message('t', "\0\0"s) + job_column() + ready());
  client(bind("p", "x") + describe('P', "p") + message('S'));
  EXPECT_EQ(backend(message('2') + message('n') + ready()), message('2') + job_column() + ready());
  client(message('C', "Sx\0"s) + parse("x", "begin") + describe('S', "x") + message('S'));
  EXPECT_EQ(backend(message('3') + message('1') + message('n') + ready()),
            message('3') + message('1') + message('n') + ready());
}

TEST_F(RelayTest, DescribesAreMatchedInOrderAcrossErrorsAndPipelines) {
  client(parse("a", "begin") + describe('S', "a") + parse("b", "create index async i on t(v)") +
         describe('S', "b") + message('S') + parse("c", "commit") + describe('S', "c") +
         message('S') + query("select 1") + parse("b2", "create index async j on t(v)") +
         describe('S', "b2") + message('S'));
  // The first batch fails at its first statement: nothing else of it is answered.
  EXPECT_EQ(backend(error("42601", "syntax") + ready()), error("42601", "syntax") + ready());
  EXPECT_EQ(backend(message('1') + message('n') + ready()), message('1') + message('n') + ready());
  EXPECT_EQ(backend(message('T', "one") + message('D', "1") + ready()),
            message('T', "one") + message('D', "1") + ready());
  EXPECT_EQ(backend(message('1') + message('n') + ready()), message('1') + job_column() + ready());
  EXPECT_FALSE(relay_.is_busy());
}

TEST_F(RelayTest, ASyncSentBeforeTheEndOfCopyIsAnsweredByNothing) {
  client(parse("", "copy t from stdin") + bind("", "") + message('E', "\0\0\0\0\0"s) +
         message('S'));
  backend(message('1') + message('2') + message('G', "\0\0\0"s));
  client(message('d', "1\n") + message('c') + message('S'));
  backend(message('C', "COPY 1\0"s) + ready());
  EXPECT_FALSE(relay_.is_busy());
}

TEST_F(RelayTest, FunctionCallIsRefusedInItsTurn) {
  const std::string to_backend = client(query("select 1") + message('F', "\0\0\0\1"s) + query("x"));
  EXPECT_EQ(to_backend.find('F', query("select 1").size()), query("select 1").size() + 5);
  EXPECT_EQ(to_backend[query("select 1").size()], 'Q');
  EXPECT_EQ(backend(ready()), ready());
  EXPECT_EQ(backend(error("42601", "syntax error") + ready('E')),
            error("0A000", "unsupported statement: FunctionCall") + ready('E'));
  EXPECT_EQ(backend(error("42601", "syntax error") + ready('E')),
            error("42601", "syntax error") + ready('E'));
}

TEST_F(RelayTest, ErrorsAreMappedAndPrivateNoticesHidden) {
  client(query("x"));
  EXPECT_EQ(backend(notice("ZR002", "private") + notice("00000", "public") +
                    notice("57P02", "crash of another server process") +
                    error("55P03", "lock timeout") + ready()),
            notice("00000", "public") +
                error("40001", "schema has been updated by another transaction (OC001)") + ready());
  EXPECT_FALSE(relay_.has_told_fatal());
}

TEST_F(RelayTest, ATestsDropEndsTheConnectionWithoutAWord) {
  client(query("COMMIT"));
  EXPECT_EQ(backend(notice("ZR009", "drop this connection"), RelayStatus::kDropped), "");
}

TEST_F(RelayTest, AMessageAboveTheBoundIsRefused) {
  Relay small(TransactionStatus::kIdle, 100);
  std::string out;
  EXPECT_EQ(small.from_client(query(std::string(95, 'x')), out), RelayStatus::kGoesOn);
  EXPECT_EQ(small.from_client(query(std::string(96, 'x')), out), RelayStatus::kRefused);
  EXPECT_EQ(small.refusal().sqlstate, "08P01");
  EXPECT_EQ(small.refusal().message, "invalid message length");
}

TEST_F(RelayTest, TheVersionIsTheServices) {
  EXPECT_EQ(backend(message('S', "server_version\00015.20\0"s)),
            message('S', "server_version\00016.15\0"s));
  EXPECT_EQ(backend(message('S', "TimeZone\0UTC\0"s)), message('S', "TimeZone\0UTC\0"s));
}

TEST_F(RelayTest, AFatalErrorIsRemembered) {
  std::string fatal;
  pgwire::append_error(fatal, {.severity = "FATAL", .sqlstate = "57P01", .message = "ended"});
  std::string expected;
  pgwire::append_error(expected,
                       {.severity = "FATAL", .sqlstate = "XX000", .message = "server unavailable"});
  EXPECT_EQ(backend(fatal), expected);
  EXPECT_TRUE(relay_.has_told_fatal());
}

TEST_F(RelayTest, GoodbyeEndsIt) {
  EXPECT_EQ(client(message('X'), RelayStatus::kTerminated), message('X'));
}

TEST_F(RelayTest, WhatIsNoProtocolIsRefused) {
  client(message('d', "x"));
  client("\xff\0\0\0\4"s, RelayStatus::kRefused);
  EXPECT_EQ(relay_.refusal().message, "invalid frontend message type 255");
  EXPECT_EQ(relay_.refusal().severity, "FATAL");
}

TEST_F(RelayTest, OversizedMessagesAreRefusedAtTheirHeader) {
  client("Q\x00\xa0\x00\x00"s);  // 10 MiB is taken
  Relay fresh{TransactionStatus::kIdle};
  std::string out;
  EXPECT_EQ(fresh.from_client("Q\x00\xa0\x00\x01"s, out), RelayStatus::kRefused);
  EXPECT_EQ(fresh.refusal().sqlstate, "08P01");
  EXPECT_EQ(fresh.refusal().message, "invalid message length");
  Relay other{TransactionStatus::kIdle};
  EXPECT_EQ(other.from_client("d\xff\xff\xff\xff"s, out), RelayStatus::kRefused);
}

TEST_F(RelayTest, MalformedNamesAreRefused) {
  for (const auto& bad : {message('P', "no zero"), message('D', ""), message('D', "S"),
                          message('D', "Xa\0"s), message('D', "Sa")}) {
    Relay fresh{TransactionStatus::kIdle};
    std::string out;
    EXPECT_EQ(fresh.from_client(bad, out), RelayStatus::kRefused);
  }
}

TEST_F(RelayTest, ABackendThatSendsNonsenseIsBroken) {
  backend(message('E', "no zero"), RelayStatus::kBroken);
}

TEST_F(RelayTest, KnowsWhetherAMessageOfOursMayFollow) {
  const std::string in = message('D', std::string(1000, 'x'));
  backend(in.substr(0, 100));
  EXPECT_FALSE(relay_.may_tell_client());
  backend(in.substr(100));
  EXPECT_TRUE(relay_.may_tell_client());
}

}  // namespace
}  // namespace zorya::router
