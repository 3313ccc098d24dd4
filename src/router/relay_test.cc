#include "router/relay.h"

#include "router/error_map.h"

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

std::string fatal(std::string state) {
  std::string out;
  pgwire::append_error(
      out, {.severity = "FATAL", .sqlstate = std::move(state), .message = "terminating"});
  return out;
}
std::string our_error() {
  return error("42601", "syntax error at or near \"" + std::string(Relay::own_word()) + "\"");
}
std::string own_query(std::string_view reason) {
  return std::string(Relay::own_word()) + std::string(reason);
}
std::string oc001() {
  return error("40001", "schema has been updated by another transaction (OC001)");
}
std::string unavailable() { return error("XX000", "server unavailable"); }
constexpr const char* kFailedBlock =
    "current transaction is aborted, commands ignored until end of transaction block";

class RelayTest : public testing::Test {
 protected:
  std::string client(const std::string& in, RelayStatus expected = RelayStatus::kGoesOn) {
    std::string out;
    EXPECT_EQ(relay_.from_client(in, out, answers_), expected);
    return out;
  }
  std::string backend(const std::string& in, RelayStatus expected = RelayStatus::kGoesOn) {
    std::string out;
    EXPECT_EQ(relay_.from_backend(in, out), expected);
    return out;
  }
  void begin() {
    client(query("begin"));
    backend(ready('T'));
  }
  static Reason reason() { return catalogue_conflict; }
  std::string fail() {
    std::string out;
    relay_.fail_transaction(Cause::kSchemaChange, reason(), out);
    return out;
  }
  std::string lose() {
    std::string out;
    EXPECT_TRUE(relay_.lose_backend(reason(), out));
    return out;
  }
  std::string take_answers() { return std::exchange(answers_, {}); }

  LossCounts counts_;
  Relay relay_{TransactionStatus::kIdle, counts_};
  std::string answers_;  // what the client got without the backend
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
  Relay small(TransactionStatus::kIdle, counts_, 100);
  std::string out;
  EXPECT_EQ(small.from_client(query(std::string(95, 'x')), out, out), RelayStatus::kGoesOn);
  EXPECT_EQ(small.from_client(query(std::string(96, 'x')), out, out), RelayStatus::kRefused);
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
  pgwire::append_error(fatal, {.severity = "FATAL", .sqlstate = "08P01", .message = "ended"});
  EXPECT_EQ(backend(fatal), fatal);
  EXPECT_TRUE(relay_.has_told_fatal());
}

TEST_F(RelayTest, ABackendsLastWordsAreNotForTheClient) {
  EXPECT_EQ(backend(fatal("57P01") + notice("ZR003", "aborted")), "");
  EXPECT_FALSE(relay_.has_told_fatal());
}

// ------------------------------------------------------------------ ended from outside

TEST_F(RelayTest, AnIdleTransactionFailsAndTheNextStatementIsTold) {
  begin();
  EXPECT_EQ(relay_.stance(), Relay::Stance::kInTransaction);
  fail();
  EXPECT_TRUE(relay_.holds_client());
  EXPECT_EQ(backend(our_error() + ready('E')), "");
  EXPECT_FALSE(relay_.holds_client());
  EXPECT_EQ(client(query("select 1")), "");
  EXPECT_EQ(take_answers(), oc001() + ready('E'));
  // From here on the backend answers for itself.
  EXPECT_EQ(client(query("commit")), query("commit"));
  EXPECT_EQ(backend(message('C', "ROLLBACK\0"s) + ready()), message('C', "ROLLBACK\0"s) + ready());
  EXPECT_EQ(counts_.told, 1u);
}

TEST_F(RelayTest, ACommitIsToldAndTheBackendRollsBackUnheard) {
  begin();
  fail();
  backend(our_error() + ready('E'));
  EXPECT_EQ(client(query("commit") + query("select 1")), query("ROLLBACK") + query("select 1"));
  EXPECT_EQ(take_answers(), oc001() + ready('I'));
  EXPECT_EQ(backend(message('C', "ROLLBACK\0"s) + ready() + message('T', "row") + ready()),
            message('T', "row") + ready());
}

TEST_F(RelayTest, ARememberedCommitIsToldToo) {
  client(parse("c", "commit") + message('S'));
  backend(message('1') + ready());
  begin();
  fail();
  backend(our_error() + ready('E'));
  EXPECT_EQ(client(bind("", "c") + message('E', "\0\0\0\0\0"s) + message('S')), query("ROLLBACK"));
  EXPECT_EQ(take_answers(), oc001() + ready('I'));
}

TEST_F(RelayTest, ATransactionThatEndedMeanwhileIsNotDoomed) {
  begin();
  fail();
  EXPECT_EQ(backend(our_error() + ready('I')), "");
  EXPECT_EQ(client(query("select 1")), query("select 1"));
  EXPECT_EQ(take_answers(), "");
}

TEST_F(RelayTest, AnOpenSequenceFailsAndItsRestIsDropped) {
  begin();
  client(parse("", "select") + bind("", "") + message('E', "\0\0\0\0\1"s));
  EXPECT_EQ(relay_.stance(), Relay::Stance::kOpen);
  EXPECT_EQ(fail(), query(own_query(" schema")) + message('S'));
  EXPECT_EQ(backend(message('1') + message('2') + message('s') + our_error() + ready('E')),
            message('1') + message('2') + message('s'));
  EXPECT_TRUE(relay_.holds_client());
  EXPECT_EQ(backend(ready('E')), "");
  EXPECT_EQ(client(message('E', "\0\0\0\0\1"s) + message('S')), "");
  EXPECT_EQ(take_answers(), oc001() + ready('E'));
}

TEST_F(RelayTest, AnOpenSequenceThatFailsByItselfIsToldThat) {
  begin();
  client(parse("", "selec"));
  fail();
  EXPECT_EQ(backend(error("42601", "syntax error") + ready('E')), error("42601", "syntax error"));
  EXPECT_EQ(client(bind("", "") + message('S')), "");
  EXPECT_EQ(take_answers(), ready('E'));
  EXPECT_EQ(counts_.told, 0u);
}

TEST_F(RelayTest, ACopyThatIsFailedReadsAsTheReason) {
  client(query("copy t from stdin"));
  backend(message('G', "\0\0\0"s));
  EXPECT_EQ(relay_.stance(), Relay::Stance::kCopyIn);
  std::string out;
  relay_.fail_copy(Cause::kAge, reason(), out);
  EXPECT_EQ(out, message('f', own_query(" age") + '\0'));
  EXPECT_EQ(backend(error("57014", "COPY from stdin failed: x") + ready()), oc001() + ready());
  EXPECT_EQ(client(message('d', "1") + message('c')), message('d', "1") + message('c'));
}

TEST_F(RelayTest, ACancelOfOursReadsAsTheReasonAndNoOther) {
  client(query("select 1"));
  relay_.expect_cancel(reason());
  relay_.cancel_was_sent(true);
  EXPECT_EQ(backend(error("57014", "canceling") + ready()), oc001() + ready());
  client(query("select 1"));
  EXPECT_EQ(backend(error("57014", "canceling") + ready()), error("57014", "canceling") + ready());
}

TEST_F(RelayTest, ACancelThatMissedIsForgotten) {
  client(query("select 1"));
  relay_.expect_cancel(reason());
  EXPECT_EQ(backend(ready()), ready());
  relay_.cancel_was_sent(true);
  client(query("select 1"));
  EXPECT_EQ(backend(error("57014", "canceling") + ready()), error("57014", "canceling") + ready());
}

TEST_F(RelayTest, SmallMessagesComeWholeAndBigOnesInPieces) {
  const std::string small = message('B', std::string(1000, 'x'));
  EXPECT_EQ(client(small.substr(0, 100)), "");
  EXPECT_TRUE(relay_.may_tell_backend());
  EXPECT_EQ(client(small.substr(100)), small);
  const std::string big = message('d', std::string(100'000, 'x'));
  EXPECT_EQ(client(big.substr(0, 100)), big.substr(0, 100));
  EXPECT_FALSE(relay_.may_tell_backend());
}

// ------------------------------------------------------------------ a lost backend

TEST_F(RelayTest, AnIdleSessionLosesNothing) {
  EXPECT_EQ(lose(), "");
  EXPECT_FALSE(relay_.has_backend());
  EXPECT_EQ(client(query("select 1")), query("select 1"));
  std::string out;
  relay_.refuse_without_backend(out);
  EXPECT_EQ(out, unavailable() + ready('I'));
  relay_.take_backend();
  EXPECT_TRUE(relay_.has_backend());
}

TEST_F(RelayTest, AnIdleTransactionIsToldOfItsLoss) {
  begin();
  EXPECT_EQ(lose(), "");
  EXPECT_EQ(relay_.transaction_status(), TransactionStatus::kFailed);
  EXPECT_EQ(client(query("select 1")), "");
  EXPECT_EQ(take_answers(), oc001() + ready('E'));
  EXPECT_EQ(client(query("rollback")), query("rollback"));
}

TEST_F(RelayTest, ACommitAfterALossNeedsNoBackend) {
  begin();
  lose();
  EXPECT_EQ(client(query("commit")), "");
  EXPECT_EQ(take_answers(), oc001() + ready('I'));
  EXPECT_EQ(relay_.transaction_status(), TransactionStatus::kIdle);
}

TEST_F(RelayTest, WhatMayHaveCommittedIsUnavailable) {
  client(query("insert"));
  EXPECT_EQ(lose(), unavailable() + ready('I'));
  relay_.take_backend();
  begin();
  client(query("commit"));
  EXPECT_EQ(lose(), unavailable() + ready('I'));
  relay_.take_backend();
  begin();
  client(query("select 1; commit; select 2"));
  EXPECT_EQ(lose(), unavailable() + ready('E'));
}

TEST_F(RelayTest, ABeginCannotHaveCommitted) {
  client(query("begin"));
  EXPECT_EQ(lose(), oc001() + ready('I'));
  relay_.take_backend();
  client(query("insert") + query("begin"));
  EXPECT_EQ(lose(), unavailable() + ready('I') + unavailable() + ready('I'));
  relay_.take_backend();
  client(query("begin; insert; commit"));
  EXPECT_EQ(lose(), unavailable() + ready('I'));
}

TEST_F(RelayTest, APreparedCommitMayHaveCommitted) {
  client(parse("c", "commit") + message('S'));
  backend(message('1') + ready());
  begin();
  client(bind("", "c") + describe('P', "") + message('E', "\0\0\0\0\0"s) + message('S'));
  backend(message('2') + message('n'));
  EXPECT_EQ(lose(), unavailable() + ready('E'));
}

TEST_F(RelayTest, WhatCannotHaveCommittedIsTheReason) {
  begin();
  client(query("insert"));
  EXPECT_EQ(lose(), oc001() + ready('E'));
  relay_.take_backend();
  client(query("rollback"));
  backend(message('C', "ROLLBACK\0"s) + ready());
  client(query("insert"));  // not in a block, but the backend says that it aborted
  backend(fatal("57P01") + notice("ZR003", "aborted"));
  EXPECT_EQ(lose(), oc001() + ready('I'));
}

TEST_F(RelayTest, APipelineIsAnsweredToItsEnd) {
  begin();
  client(parse("", "a") + message('S') + query("b") + query("rollback"));
  EXPECT_EQ(lose(), oc001() + ready('E') + error("25P02", kFailedBlock) + ready('E') +
                        message('C', "ROLLBACK\0"s) + ready('I'));
}

TEST_F(RelayTest, APipelineThatCommitsMayHaveCommittedAllOfIt) {
  begin();
  client(parse("", "a") + message('S') + query("b") + query("commit") + query("c") +
         parse("", "d") + message('H'));
  EXPECT_EQ(lose(), unavailable() + ready('E') + unavailable() + ready('E') + unavailable() +
                        ready('I') + unavailable() + ready('I') + unavailable());
  EXPECT_EQ(client(bind("", "") + message('S') + query("next")), query("next"));
  EXPECT_EQ(take_answers(), ready('I'));
}

TEST_F(RelayTest, AnAbortAtTheEndIsOfOneTransactionOnly) {
  client(query("insert") + query("insert"));
  backend(fatal("57P01") + notice("ZR003", "aborted"));
  EXPECT_EQ(lose(), unavailable() + ready('I') + unavailable() + ready('I'));
}

TEST_F(RelayTest, TheRestOfABigMessageIsDroppedAfterALoss) {
  begin();
  const std::string big = message('B', std::string(100'000, 'x'));
  client(big.substr(0, 50'000));
  EXPECT_EQ(lose(), oc001());
  EXPECT_EQ(client(big.substr(50'000) + message('S') + query("rollback")), query("rollback"));
  EXPECT_EQ(take_answers(), ready('E'));
}

TEST_F(RelayTest, HalfARowIsDroppedAndHalfABigOneCannotBe) {
  client(query("select"));
  const std::string row = message('D', std::string(1000, 'x'));
  EXPECT_EQ(backend(row.substr(0, 100)), "");
  EXPECT_EQ(lose(), unavailable() + ready('I'));
  relay_.take_backend();
  client(query("select"));
  backend(message('D', std::string(100'000, 'x')).substr(0, 1000));
  std::string out;
  EXPECT_FALSE(relay_.lose_backend(reason(), out));
}

TEST_F(RelayTest, OnlyStatementsThatWereMadeAreRemembered) {
  client(parse("good", "select 1") + parse("bad", "selec") + parse("skipped", "select 2") +
         message('S') + parse("later", "select 3") + message('S'));
  backend(message('1') + error("42601", "syntax error") + ready());
  backend(message('1') + ready());
  const auto messages = relay_.memory().restoring({});
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0], parse("good", "select 1") + message('S'));
  EXPECT_EQ(messages[1], parse("later", "select 3") + message('S'));
  client(message('C', "Sgood\0"s) + query("deallocate all"));
  EXPECT_TRUE(relay_.memory().restoring({}).empty());
}

TEST_F(RelayTest, ASchemaChangeIsNoticedUntilItIsDone) {
  client(query("alter table t"));
  EXPECT_EQ(backend(notice("ZR002", "schema change")), "");
  EXPECT_TRUE(relay_.changes_schema());
  EXPECT_TRUE(relay_.takes_schema_change());
  EXPECT_FALSE(relay_.takes_schema_change());
  backend(oc001() + ready());
  EXPECT_FALSE(relay_.changes_schema());
}

TEST_F(RelayTest, WhatTheSessionHasSeenIsKeptForItsNextBackend) {
  EXPECT_EQ(relay_.catalogue_seen(), "");
  client(query("select 1"));
  EXPECT_EQ(backend(notice("ZR004", "17")), "");
  backend(ready());
  EXPECT_EQ(relay_.catalogue_seen(), "17");
  relay_.forget_catalogue_seen();
  EXPECT_EQ(relay_.catalogue_seen(), "");
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
  Relay fresh{TransactionStatus::kIdle, counts_};
  std::string out;
  EXPECT_EQ(fresh.from_client("Q\x00\xa0\x00\x01"s, out, out), RelayStatus::kRefused);
  EXPECT_EQ(fresh.refusal().sqlstate, "08P01");
  EXPECT_EQ(fresh.refusal().message, "invalid message length");
  Relay other{TransactionStatus::kIdle, counts_};
  EXPECT_EQ(other.from_client("d\xff\xff\xff\xff"s, out, out), RelayStatus::kRefused);
}

TEST_F(RelayTest, MalformedNamesAreRefused) {
  for (const auto& bad : {message('P', "no zero"), message('D', ""), message('D', "S"),
                          message('D', "Xa\0"s), message('D', "Sa")}) {
    Relay fresh{TransactionStatus::kIdle, counts_};
    std::string out;
    EXPECT_EQ(fresh.from_client(bad, out, out), RelayStatus::kRefused);
  }
}

TEST_F(RelayTest, ABackendThatSendsNonsenseIsBroken) {
  backend(message('E', "no zero"), RelayStatus::kBroken);
}

TEST_F(RelayTest, KnowsWhetherAMessageOfOursMayFollow) {
  const std::string in = message('D', std::string(100'000, 'x'));
  backend(in.substr(0, 100));
  EXPECT_FALSE(relay_.may_tell_client());
  backend(in.substr(100));
  EXPECT_TRUE(relay_.may_tell_client());
}

}  // namespace
}  // namespace zorya::router
