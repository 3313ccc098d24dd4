#pragma once

#include "query_processor/jobs/job_log.h"

/// What launcher, workers and clients share in memory. It may be lost at any time: all that must
/// last is in sys.job_log.
namespace zorya::query_processor::jobs {

/// Two, so that a job that waits for an open transaction does not hold up all others.
inline constexpr int kWorkerCount = 2;

/// Asks for the shared memory and lays it out at the start. Once, in the postmaster.
void install_board();

/// There may be a job to do: the launcher looks. Any backend; never waits.
void wake_launcher() noexcept;
/// `count` rows of jobs that had ended were added. True now and then: somebody should forget old
/// ones.
bool note_ended_rows(int count);

/// The caller is the launcher, and is woken by its latch from now on.
void become_launcher();
/// True once for any number of wakes before it. The launcher.
bool take_wake();

/// A worker takes `id`; false if another has it.
bool claim(int worker, const JobId& id);
/// True if another worker than this one has `id`.
bool is_claimed_by_other(int worker, const JobId& id);
/// It has none any more.
void release_claim(int worker);

/// A worker ends because it found nothing more to do; the launcher asks once after its end.
void note_orderly_end(int worker);
bool take_orderly_end(int worker);

/// A job has ended: wakes who waits for one.
void tell_ended();
/// Waits for the next end of any job, at most `timeout_ms`. Between prepare and cancel nothing is
/// missed. Honours cancel.
void prepare_to_wait_for_end();
void wait_for_end(long timeout_ms);
void cancel_wait_for_end();

}  // namespace zorya::query_processor::jobs
