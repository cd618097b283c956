// How a tunable's value is a word of the segment. Not for servers to use; see signalbox/context.hpp.
#pragma once

#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <ratio>
#include <source_location>
#include <string_view>

#include "signalbox/bytes.hpp"
#include "signalbox/detail/lane.hpp"

namespace signalbox {

class Context;
class Telemetry;

/// What a client of the agent may be; see the authorizer. There is no 0, so that a zeroed record opens nothing.
enum class Role : std::uint32_t {
    viewer = 1,     ///< whoever may look
    operator_ = 2,  ///< whoever may act
};

namespace detail {

/// How a tunable's word is to be read; facts and settings are text.
enum class SettingType : std::uint32_t {
    text = 1,
    boolean = 2,   ///< 0 or 1
    integer = 3,   ///< std::int64_t
    real = 4,      ///< the bits of a finite double
    duration = 5,  ///< std::int64_t, nanoseconds
    bytes = 6,     ///< std::uint64_t
};

/// `T` as a word: its type, the widest range, and the nanoseconds that a duration is a multiple of.
template <class T>
struct TunableCoding {
    static_assert(sizeof(T) == 0, "a Tunable is bool, std::int64_t, double, Bytes or a std::chrono duration");
};

template <>
struct TunableCoding<bool> {
    static constexpr SettingType kType = SettingType::boolean;
    static constexpr std::uint64_t kStep = 1;
    static constexpr bool kLowest = false, kDefaultMin = false, kHighest = true;
    static constexpr std::uint64_t encode(bool value) { return value; }
    static constexpr bool decode(std::uint64_t word) { return word != 0; }
};

template <>
struct TunableCoding<std::int64_t> {
    using Limits = std::numeric_limits<std::int64_t>;
    static constexpr SettingType kType = SettingType::integer;
    static constexpr std::uint64_t kStep = 1;
    static constexpr std::int64_t kLowest = Limits::min(), kDefaultMin = kLowest, kHighest = Limits::max();
    static constexpr std::uint64_t encode(std::int64_t value) { return static_cast<std::uint64_t>(value); }
    static constexpr std::int64_t decode(std::uint64_t word) { return static_cast<std::int64_t>(word); }
};

template <>
struct TunableCoding<double> {
    using Limits = std::numeric_limits<double>;
    static constexpr SettingType kType = SettingType::real;
    static constexpr std::uint64_t kStep = 1;
    static constexpr double kLowest = Limits::lowest(), kDefaultMin = kLowest, kHighest = Limits::max();
    static constexpr std::uint64_t encode(double value) { return std::bit_cast<std::uint64_t>(value); }
    static constexpr double decode(std::uint64_t word) { return std::bit_cast<double>(word); }
};

template <>
struct TunableCoding<Bytes> {
    static constexpr SettingType kType = SettingType::bytes;
    static constexpr std::uint64_t kStep = 1;
    static constexpr Bytes kLowest{0}, kDefaultMin{0}, kHighest{UINT64_MAX};
    static constexpr std::uint64_t encode(Bytes value) { return static_cast<std::uint64_t>(value); }
    static constexpr Bytes decode(std::uint64_t word) { return Bytes{word}; }
};

template <class Rep, class Period>
struct TunableCoding<std::chrono::duration<Rep, Period>> {
    using T = std::chrono::duration<Rep, Period>;
    using Nanoseconds = std::chrono::duration<std::int64_t, std::nano>;
    using Step = std::ratio_divide<Period, std::nano>;
    static_assert(std::integral<Rep> && Step::den == 1, "a tunable duration counts whole nanoseconds");
    static constexpr SettingType kType = SettingType::duration;
    static constexpr std::uint64_t kStep = Step::num;
    static constexpr T kLowest = std::chrono::duration_cast<T>(Nanoseconds::min());
    static constexpr T kDefaultMin = T::zero();
    static constexpr T kHighest = std::chrono::duration_cast<T>(Nanoseconds::max());
    static constexpr std::uint64_t encode(T value) {
        const T bounded = value < kLowest ? kLowest : kHighest < value ? kHighest : value;
        return static_cast<std::uint64_t>(std::chrono::duration_cast<Nanoseconds>(bounded).count());
    }
    static constexpr T decode(std::uint64_t word) {
        return std::chrono::duration_cast<T>(Nanoseconds(static_cast<std::int64_t>(word)));
    }
};

struct TunableDescription {
    std::string_view name;
    SettingType type{};
    std::uint64_t initial = 0;
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::uint64_t step = 1;
    std::string_view unit;
    std::string_view help;
    std::string_view origin;
    Role role{};
    std::source_location where;
};

/// A tunable's place in the segment, or, by default, one that never changes.
class TunableCell {
public:
    TunableCell() = default;
    TunableCell(Context& context, const TunableDescription& description);

    std::uint64_t word() const noexcept { return word_->load(std::memory_order_relaxed); }
    /// From now on Telemetry::refresh() calls `changed` when there was a change since.
    void watch(Telemetry& telemetry, std::function<void()> changed) const;

private:
    inline static const Word kConstant{0};
    const Word* word_ = &kConstant;
    const Word* version_ = &kConstant;
};

}  // namespace detail
}  // namespace signalbox
