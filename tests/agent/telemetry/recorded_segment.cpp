#include "tests/agent/telemetry/recorded_segment.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <thread>

#include "agent/telemetry/connections.hpp"
#include "agent/telemetry/crash_record.hpp"
#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/module_table.hpp"
#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/seat.hpp"
#include "signalbox/context.hpp"
#include "signalbox/distinct.hpp"
#include "signalbox/heavy_hitters.hpp"
#include "tests/agent/telemetry/totals.hpp"

namespace signalbox::tests {

using telemetry::SeatWriter;
using wire::Severity;

RecordedSegment::RecordedSegment(const std::string& path, const RecordedAmount& amount)
    : telemetry_({.group = "recorded",
                  .max_workers = amount.workers,
                  .instruments = 12,
                  .distributions = 4,
                  .distincts = 1,
                  .heavy_hitters = 1,
                  .thread_lanes = 1,
                  .settings = 4,
                  .path = path}),
      amount_(amount) {
    describe_group();
    record(2, 1, kDepartedLetters);
    telemetry_.detach();
    crash(2, 1);
    telemetry::keep_crash(segment(), 2, 1);
    telemetry::retire_seat(segment(), 2);
    std::uint64_t generation = 1;
    for (const unsigned seat : std::span(kRecordedSeats).first(amount.workers))
        record(seat, ++generation, letters_of(seat));
    crash(2, 3);
    telemetry_.detach();
    segment().group().last_generation = generation;
}

void RecordedSegment::describe_group() {
    telemetry::Group& group = segment().group();
    group.target_workers = amount_.workers;
    group.arbiter_pid = 4000;
    group.agent_pid = 4001;
    group.agent_starts = 1;
    std::strncpy(group.listeners[0].protocol, "http", sizeof group.listeners[0].protocol - 1);
    std::strncpy(group.listeners[0].address, "127.0.0.1:8080", sizeof group.listeners[0].address - 1);
    group.listeners[0].port = 8080;
    group.listeners[0].backlog_limit = 1024;
    group.listeners[0].used = 1;
    Context context(telemetry_);
    context.setting("listen", "127.0.0.1:8080", "command line");
    Tunable<std::chrono::milliseconds>(context, "queue_deadline", std::chrono::seconds(5),
                                       {.min = std::chrono::milliseconds(1), .max = std::chrono::hours(1)});
    segment().group_ring().append(telemetry::monotonic_ns(), 4000, 0, Severity::info, "group_started",
                                  "Three workers.");
}

void RecordedSegment::record(unsigned seat, std::uint64_t generation, std::uint64_t letters) {
    occupy(telemetry_, seat, generation, 4100 + seat);
    telemetry_.attach(seat);
    Counter counter(telemetry_, "letters_total", "Letters classified", {{"verdict", "ham"}});
    Gauge gauge(telemetry_, "letters_waiting", "Letters that wait");
    Duration durations(telemetry_, "scoring_duration_seconds", "Time to score a letter");
    Distribution sizes(telemetry_, "letter_bytes", "Size of a letter", "bytes");
    SignedDistribution skews(telemetry_, "clock_skew_seconds", "How far the sender's clock is ahead",
                             "seconds");
    Distinct senders(telemetry_, "senders", "Different senders", 10);
    HeavyHitters domains(telemetry_, "domains", "The most frequent domains");
    const std::uint64_t close = amount_.values_far_apart ? 0 : 1000;
    counter.add(letters);
    gauge.set(seat + 0.5);
    for (std::uint64_t i = 0; i < 200; ++i) {
        durations.record(std::chrono::microseconds(close == 0 ? i * i : close + i));
        sizes.record(close == 0 ? i * 100 : close + i);
        senders.add(fmt::format("{}@example.org", seat * 1000 + i));
        domains.add(fmt::format("{}.example", i % 7));
        skews.record(close == 0 ? static_cast<double>(i) - 50 : i % 4 == 0 ? -1.0 - i / 1e3 : 1.0 + i / 1e3);
    }
    std::thread([counter, sizes]() mutable {  // the lane for other threads
        counter.add(0);
        sizes.record(5);
    })
        .join();

    SeatWriter writer(segment(), seat);
    segment().seat(seat)->started_monotonic_ns = telemetry::monotonic_ns();
    segment().seat(seat)->resident_bytes = 5 << 20;
    writer.beat();
    writer.count_request();
    writer.set_connections(seat);
    writer.queue(0).capacity = 64;
    writer.queue(0).pushed = 10;
    writer.queue(0).popped = 8;
    if (seat != 0) writer.begin_activity(fmt::format("POST /classify from 192.0.2.{}", seat));
    open_connections(seat);
    for (int i = 0; i < amount_.events; ++i)
        writer.log(i % 2 == 0 ? Severity::info : Severity::warning, "letter_scored",
                   fmt::format("Letter {}.", i));
}

void RecordedSegment::open_connections(unsigned seat) {
    telemetry::ConnectionRecord* records = segment().connections(seat);
    telemetry::ConnectionTable table(segment(), seat);
    telemetry::ConnectionSlot idle = table.open("192.0.2.7:40122", telemetry::monotonic_ns());
    telemetry::ConnectionSlot busy = table.open("192.0.2.8:40123", telemetry::monotonic_ns());
    busy.begin_request("POST /classify");
    // The slots end with this function, what they wrote must not.
    const std::uint32_t handling = static_cast<std::uint32_t>(telemetry::ConnectionState::handling);
    idle.close();
    busy.close();
    records[0].state = records[1].state = handling;
}

void RecordedSegment::crash(unsigned seat, std::uint64_t generation) {
    telemetry::CrashRecord& record = segment().crash(seat);
    record.slot = seat / 2;
    record.generation = generation;
    record.pid = record.tid = 4100 + seat;
    record.signal = 11;
    record.code = 1;
    record.address = 0xdead;
    record.monotonic_ns = telemetry::monotonic_ns();
    record.module_count = telemetry::write_module_table(record.modules);
    // In the C library, which is quicker to look up than in a program with all that DWARF says.
    record.frames[0] = reinterpret_cast<std::uint64_t>(&::getpid) + 4;
    record.frames[1] = 0x1234;
    record.frame_count = 2;
    record.sequence = 2;
}

}  // namespace signalbox::tests
