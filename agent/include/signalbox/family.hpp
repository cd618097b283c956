// One instrument for each value of some labels that are known only while serving, in bounded number.
//
//     signalbox::Family<signalbox::Counter> requests(telemetry, "requests_total", "Requests",
//                                                    {"path", "status"}, {.limit = 100});
//     requests.with("/letters", "200").add();
//
//     signalbox::Family<signalbox::Distribution> sizes(telemetry, "letter_bytes", "Size of the letters",
//                                                      {"box"}, {}, "bytes", 1);
//     sizes.with(request.parameter("box")).record(request.body.size());
//
// What comes from outside has no bound, and a series has a price in every process that reads it. So a
// process makes instruments for the first `limit` combinations of values that it meets. Further ones go to
// the series all of whose values are "other", and so do these, so that nothing is lost but the distinction:
//
// - combinations with a value that is not one line of UTF-8 without control characters;
// - those too long for the directory: names, values and two bytes for each label exceed 167 bytes;
// - new ones when the directory is full.
//
// The Distinct NAME_folded (NAME without "_total") says how many different combinations went there; its error
// is 2.4 %. Combinations are the same series in all processes of the group; the limit is each process' own,
// and the directory bounds the whole.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "signalbox/distinct.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox {

struct FamilyOptions {
    std::size_t limit = 100;  ///< combinations of values in a process, 1 … 65536
    std::source_location where = std::source_location::current();
};

namespace detail {

struct FamilySeries {
    virtual ~FamilySeries() = default;
};

/// Combinations of label values and their series, whatever the instrument.
class FamilyTable {
public:
    using Make = std::function<std::unique_ptr<FamilySeries>(const Labels&)>;

    FamilyTable(Telemetry& telemetry, std::string_view name, const std::vector<std::string>& labels,
                const FamilyOptions& options, Make make);
    ~FamilyTable();
    FamilyTable(const FamilyTable&) = delete;
    FamilyTable& operator=(const FamilyTable&) = delete;

    /// Found, made, or that of all others. Any thread.
    FamilySeries& series(std::span<const std::string_view> values) noexcept;

private:
    struct Combination;

    static bool holds(const Combination& combination, std::uint64_t hash,
                      std::span<const std::string_view> values) noexcept;
    const Combination* find(std::uint64_t hash, std::span<const std::string_view> values) const noexcept;
    const Combination* make(std::uint64_t hash, std::span<const std::string_view> values) noexcept;
    bool fits(std::span<const std::string_view> values) const noexcept;
    Labels labelled(std::span<const std::string_view> values) const;

    std::vector<std::string> labels_;
    std::size_t limit_;
    Make make_;
    std::unique_ptr<FamilySeries> other_;
    Distinct folded_;
    /// Open addressing, linear probing; at least half of the places stay vacant, and none becomes so again.
    std::vector<std::atomic<const Combination*>> places_;
    std::atomic<bool> is_full_{false};
    std::mutex making_;  ///< guards:
    std::size_t made_ = 0;
};

/// What a constructor's argument is kept as until the next series is made.
template <class Argument>
auto kept(const Argument& argument) {
    if constexpr (std::is_convertible_v<const Argument&, std::string_view>)
        return std::string(std::string_view(argument));
    else
        return argument;
}

}  // namespace detail

/// `Instrument`: Counter, Gauge, Distribution, SignedDistribution, Duration or Interval. A value like these:
/// copies are one family. The Telemetry outlives all of them.
template <class Instrument>
class Family {
public:
    /// `arguments` are those that Instrument's constructor takes between `help` and `labels`: none for
    /// Counter, Duration and Interval, a Gauge's Merge, a Distribution's unit and ticks per unit. Creates the
    /// series of all others at once. Throws as Instrument's and Distinct's constructors do, and
    /// std::invalid_argument for no label or a limit out of range.
    template <class... Arguments>
    Family(Telemetry& telemetry, std::string_view name, std::string_view help,
           const std::vector<std::string>& labels, FamilyOptions options = {},
           const Arguments&... arguments) {
        static_assert(
            std::is_constructible_v<Instrument, Telemetry&, std::string_view, std::string_view,
                                    decltype(detail::kept(arguments))..., const Labels&,
                                    std::source_location>,
            "after the options come what the instrument's constructor takes between help and labels");
        table_ = std::make_shared<detail::FamilyTable>(
            telemetry, name, labels, options,
            [&telemetry, name = std::string(name), help = std::string(help), where = options.where,
             ... arguments = detail::kept(arguments)](const Labels& values) {
                return std::make_unique<Series>(
                    Instrument(telemetry, name, help, arguments..., values, where));
            });
    }

    /// The instrument of these values, as many as there are labels, in their order (asserted); it stays valid
    /// for the family's life. Any thread. A combination that the process knows is found without a lock or an
    /// allocation, in about 30 nanoseconds (`./dev bench record`), and one that is folded likewise; a new one is
    /// registered, which takes microseconds and a lock.
    template <class... Values>
    Instrument& with(const Values&... values) noexcept {
        const std::array<std::string_view, sizeof...(Values)> all{std::string_view(values)...};
        return static_cast<Series&>(table_->series(all)).instrument;
    }

private:
    struct Series final : detail::FamilySeries {
        explicit Series(Instrument made) : instrument(made) {}
        Instrument instrument;
    };

    std::shared_ptr<detail::FamilyTable> table_;
};

}  // namespace signalbox
