#include "tests/agent/service/fake_group.hpp"

#include "agent/telemetry/event_ring.hpp"
#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/seat.hpp"

using namespace signalbox;

FakeGroup::FakeGroup(const std::string& name, unsigned slots)
    : telemetry({.group = name,
                 .max_workers = slots,
                 .instruments = 256,
                 .distributions = 64,
                 .path = std::string()}) {
    segment().group().target_workers.store(slots);
    segment().group().arbiter_pid.store(4242);
}

std::uint64_t FakeGroup::start_worker(unsigned index) {
    telemetry::Seat& place = seat(index);
    place.slot.store(index / 2);
    place.generation.store(++last_generation);
    place.started_monotonic_ns.store(telemetry::monotonic_ns());
    place.heartbeat_monotonic_ns.store(telemetry::monotonic_ns());
    place.phase.store(static_cast<std::uint32_t>(telemetry::Phase::ready));
    place.pid.store(static_cast<std::uint32_t>(10'000 + last_generation));
    return last_generation;
}

void FakeGroup::in_worker(unsigned index, const std::function<void()>& record) {
    telemetry.attach(index);
    record();
    telemetry.detach();
}

void FakeGroup::end_worker(unsigned index) {
    telemetry::retire_seat(segment(), index);
}

void FakeGroup::log(const std::string& name, const std::string& text) {
    segment().group_ring().append(telemetry::monotonic_ns(), 4242, 0, wire::Severity::info, name, text);
}
