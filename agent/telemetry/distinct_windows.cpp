#include "agent/telemetry/distinct_windows.hpp"

#include <algorithm>

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::uint64_t kSlicesPerHourSlice = kHourSliceNs / kMinuteSliceNs;

/// Slices are numbered from 1, so that zeroed memory means "never used".
std::uint64_t minute_number(std::uint64_t now) {
    return now / kMinuteSliceNs + 1;
}
std::uint64_t hour_number_of(std::uint64_t minute) {
    return (minute - 1) / kSlicesPerHourSlice + 1;
}

/// A block whose precision is known. The slices of the last minute come first, then those of the last hour,
/// then all time.
struct Slices {
    DistinctBlock& block;
    unsigned precision;

    std::size_t size() const { return sketch::register_count(precision); }
    std::atomic<std::uint8_t>* minute(std::uint64_t number) const { return at(number % kDistinctSlices); }
    std::atomic<std::uint8_t>* hour(std::uint64_t number) const {
        return at(kDistinctSlices + number % kDistinctSlices);
    }
    std::atomic<std::uint8_t>* ever() const { return at(2 * kDistinctSlices); }

private:
    std::atomic<std::uint8_t>* at(std::size_t slice) const { return block.registers() + slice * size(); }
};

void merge(const Slices& slices, std::atomic<std::uint8_t>* into, const std::atomic<std::uint8_t>* from) {
    sketch::merge_registers(into, from, slices.size());
}

void merge_into_ever(const Slices& slices, const std::atomic<std::uint8_t>* from) {
    slices.block.ever_used.store(1, std::memory_order_release);
    merge(slices, slices.ever(), from);
}

void clear(const Slices& slices, std::atomic<std::uint8_t>* registers) {
    for (std::size_t i = 0; i < slices.size(); ++i)
        registers[i].store(0, relaxed);
}

/// The slice of ten minutes `number`, emptied of what was there before; null if it is older than what is
/// there, which all time has room for.
std::atomic<std::uint8_t>* hour_slice(const Slices& slices, std::uint64_t number) {
    AtomicWord& present = slices.block.hour_numbers[number % kDistinctSlices];
    std::atomic<std::uint8_t>* registers = slices.hour(number);
    const std::uint64_t before = present.load(relaxed);
    if (before > number) return nullptr;
    if (before == number) return registers;
    if (before != 0) {
        merge_into_ever(slices, registers);
        clear(slices, registers);
    }
    present.store(number, std::memory_order_release);
    return registers;
}

/// The same for the slice of ten seconds.
std::atomic<std::uint8_t>* minute_slice(const Slices& slices, std::uint64_t number) {
    AtomicWord& present = slices.block.minute_numbers[number % kDistinctSlices];
    std::atomic<std::uint8_t>* registers = slices.minute(number);
    const std::uint64_t before = present.load(relaxed);
    if (before > number) return nullptr;
    if (before == number) return registers;
    if (before != 0) {
        std::atomic<std::uint8_t>* hour = hour_slice(slices, hour_number_of(before));
        if (hour)
            merge(slices, hour, registers);
        else
            merge_into_ever(slices, registers);
        clear(slices, registers);
    }
    present.store(number, std::memory_order_release);
    return registers;
}

}  // namespace

void advance(DistinctBlock& block, unsigned precision, std::uint64_t now) noexcept {
    const std::uint64_t number = minute_number(now);
    if (block.current.load(relaxed) == number) return;
    const Slices slices{block, precision};
    if (!minute_slice(slices, number)) return;
    block.current.store(number, std::memory_order_release);
    block.changes.fetch_add(1, relaxed);
}

void fold(const DistinctBlock& from, DistinctBlock& into, unsigned precision) noexcept {
    // Only read through: what is shared with the writers' functions is not const.
    const Slices source{const_cast<DistinctBlock&>(from), precision};
    const Slices target{into, precision};
    for (unsigned i = 0; i < kDistinctSlices; ++i) {
        if (const std::uint64_t number = from.minute_numbers[i].load(relaxed); number != 0) {
            std::atomic<std::uint8_t>* slice = minute_slice(target, number);
            if (!slice) slice = hour_slice(target, hour_number_of(number));
            if (slice)
                merge(target, slice, source.minute(number));
            else
                merge_into_ever(target, source.minute(number));
        }
        if (const std::uint64_t number = from.hour_numbers[i].load(relaxed); number != 0) {
            if (std::atomic<std::uint8_t>* slice = hour_slice(target, number))
                merge(target, slice, source.hour(number));
            else
                merge_into_ever(target, source.hour(number));
        }
    }
    if (from.ever_used.load(std::memory_order_acquire) != 0) merge_into_ever(target, source.ever());
    into.changes.fetch_add(1, relaxed);
}

bool DistinctUnion::add(const DistinctBlock& block, std::uint64_t now) {
    const Slices slices{const_cast<DistinctBlock&>(block), ever.precision()};
    const std::uint64_t minute_now = minute_number(now);
    const std::uint64_t hour_now = hour_number_of(minute_now);
    bool sound = true;
    if (block.ever_used.load(std::memory_order_acquire) != 0)
        sound = ever.merge_shared(slices.ever(), ever.precision());
    const auto add_slice = [&](const std::atomic<std::uint8_t>* registers, bool in_hour, bool in_minute) {
        sketch::UltraLogLog slice(ever.precision());
        if (!slice.merge_shared(registers, ever.precision())) {
            sound = false;
            return;
        }
        ever.merge(slice);
        if (in_hour) hour.merge(slice);
        if (in_minute) minute.merge(slice);
    };
    for (unsigned i = 0; i < kDistinctSlices; ++i) {
        // A slice lies where its number says; one that is being emptied may be missed in its old place and
        // is then in the coarser one already.
        const std::uint64_t tens = block.minute_numbers[i].load(std::memory_order_acquire);
        if (tens != 0 && tens % kDistinctSlices == i)
            add_slice(slices.minute(tens), hour_number_of(tens) + kDistinctSlices > hour_now,
                      tens + kDistinctSlices > minute_now);
        const std::uint64_t number = block.hour_numbers[i].load(std::memory_order_acquire);
        if (number != 0 && number % kDistinctSlices == i)
            add_slice(slices.hour(number), number + kDistinctSlices > hour_now, false);
    }
    return sound;
}

}  // namespace signalbox::telemetry
