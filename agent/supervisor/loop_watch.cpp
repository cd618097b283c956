#include "agent/supervisor/loop_watch.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/supervisor/process.hpp"
#include "agent/telemetry/activity.hpp"
#include "agent/telemetry/stack_reporter.hpp"

namespace signalbox::supervisor {
namespace {

using wire::Severity;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kBeatPeriod = 100 * kMillisecond;  ///< as workers keep it
constexpr std::uint64_t kStallAfter = 500 * kMillisecond;
/// Between two rounds there are some 50 ms, unless the arbiter was kept from running.
constexpr std::uint64_t kAway = 1'000 * kMillisecond;
/// A handler that has not run by then is kept from running.
constexpr std::uint64_t kPatience = 200 * kMillisecond;

std::uint64_t nanoseconds(std::chrono::milliseconds duration) {
    return static_cast<std::uint64_t>(duration.count()) * kMillisecond;
}

/// "at 'GET /letters from 10.0.0.7'": text from outside, made printable.
std::string at_what(const telemetry::ActivityRecord& record) {
    std::uint64_t since = 0;
    std::string text = telemetry::read_activity(record, since);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; },
        '?');
    return text.empty() ? std::string() : fmt::format(", at '{:.64}'", text);
}

}  // namespace

LoopWatch::LoopWatch(telemetry::Segment& segment, const Journal& journal, LoopThresholds thresholds)
    : segment_(segment), journal_(journal), thresholds_(thresholds) {}

void LoopWatch::say(Severity severity, std::string_view name, const Subject& worker,
                    const std::string& text) const {
    journal_.say(severity, name, text, static_cast<std::uint32_t>(worker.pid), worker.generation);
}

void LoopWatch::begin_round(std::uint64_t now) {
    if (now - last_round_ns_ > kAway) watching_since_ns_ = now;
    last_round_ns_ = now;
}

std::uint64_t LoopWatch::lateness(unsigned seat, std::uint64_t now) const {
    const std::uint64_t beat = segment_.seat(seat)->heartbeat_monotonic_ns.load(std::memory_order_relaxed);
    const std::uint64_t from = std::max(beat, watching_since_ns_);
    return now > from + kBeatPeriod ? now - from - kBeatPeriod : 0;
}

bool LoopWatch::look(Loop& loop, const Subject& worker, std::chrono::milliseconds lag, std::uint64_t now) {
    const std::uint64_t beat =
        segment_.seat(worker.seat)->heartbeat_monotonic_ns.load(std::memory_order_relaxed);
    const std::uint64_t late = lateness(worker.seat, now);
    note_stall(loop, worker, late);
    if (lag.count() > 0 && late > nanoseconds(lag)) loop.late_turns.note(beat, now);

    const std::uint64_t spin = nanoseconds(thresholds_.spin.get());
    const bool spins = spin > 0 && late > spin;
    if (spins && loop.seen_beat != beat) ask(loop, worker, beat, late, now);
    if (loop.asked_at_ns != 0) await_answer(loop, worker, spins, now);

    const std::uint64_t wedge = nanoseconds(thresholds_.wedge.get());
    // What a debugger has stopped is late for a reason, and not to be killed.
    const bool wedged = wedge > 0 && late > wedge && (loop.wedged || !is_traced(worker.pid));
    const bool news = wedged && !loop.wedged;
    loop.wedged = wedged;
    if (news)
        say(Severity::error, "worker_wedged", worker,
            fmt::format("{} has not turned its event loop for {} ms{}, {}; limit {} ms (wedge_timeout). It "
                        "is replaced.",
                        worker.name, (late + kBeatPeriod) / kMillisecond,
                        at_what(segment_.seat(worker.seat)->activity), describe_state(worker.pid),
                        wedge / kMillisecond));
    return news;
}

void LoopWatch::note_stall(Loop& loop, const Subject& worker, std::uint64_t late) {
    const bool stalled = late + kBeatPeriod > kStallAfter;
    if (stalled != loop.stalled)
        say(stalled ? Severity::warning : Severity::info, stalled ? "worker_stalled" : "worker_recovered",
            worker,
            fmt::format("{} {}.", worker.name,
                        stalled ? "has not turned its event loop for 500 ms" : "turns its event loop again"));
    loop.stalled = stalled;
}

void LoopWatch::ask(Loop& loop, const Subject& worker, std::uint64_t beat, std::uint64_t late,
                    std::uint64_t now) {
    loop.seen_beat = beat;
    if (loop.asked_at_ns != 0 || !reports_.allows(now)) return;
    loop.late_when_asked_ns = late;
    loop.answers_before = telemetry::stack_sequence(segment_, worker.seat);
    if (telemetry::ask_for_stack(worker.pid)) loop.asked_at_ns = now;
}

void LoopWatch::await_answer(Loop& loop, const Subject& worker, bool late, std::uint64_t now) {
    if (const auto stack = telemetry::read_stack(segment_, worker.seat, loop.answers_before)) {
        report(loop, worker,
               stack->heartbeat_monotonic_ns == loop.seen_beat
                   ? stack->text
                   : "it turned again before it could say where it was");
    } else if (!late) {
        report(loop, worker, "it turned again before it could say where it was");
    } else if (now - loop.asked_at_ns > kPatience) {
        report(loop, worker, "it does not answer, " + describe_state(worker.pid));
    }
}

void LoopWatch::report(Loop& loop, const Subject& worker, const std::string& stack) {
    loop.asked_at_ns = 0;
    std::string text = fmt::format("{} had not turned its event loop for {} ms{}: {}", worker.name,
                                   (loop.late_when_asked_ns + kBeatPeriod) / kMillisecond,
                                   at_what(segment_.seat(worker.seat)->activity), stack);
    if (const unsigned suppressed = reports_.take_suppressed())
        text += fmt::format(" (and {} more were not reported: at most 5 a minute are)", suppressed);
    say(Severity::warning, "long_spin", worker, text);
}

}  // namespace signalbox::supervisor
