#include "signalbox/family.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <stdexcept>

#include "agent/telemetry/directory.hpp"
#include "common/sketch/distinct_hash.hpp"

namespace signalbox::detail {
namespace {

using Values = std::span<const std::string_view>;

constexpr std::size_t kMaxLimit = 65536;
constexpr std::string_view kOther = "other";
/// 1024 registers in each slice, a quarter of what a Distinct has by default: it answers whether the limit is
/// too small, and by how much.
constexpr unsigned kFoldedPrecision = 10;

/// The same in every process, so that a combination that several of them fold counts once.
std::uint64_t hash_of(Values values) noexcept {
    std::uint64_t hash = sketch::kDistinctSeed;
    for (const std::string_view value : values)
        hash = sketch::distinct_hash(value, hash);
    return hash;
}

std::string folded_name(std::string_view name) {
    constexpr std::string_view total = "_total";
    if (name.ends_with(total)) name.remove_suffix(total.size());
    return std::string(name) + "_folded";
}

const std::vector<std::string>& checked_labels(std::string_view name,
                                               const std::vector<std::string>& labels) {
    if (!labels.empty()) return labels;
    throw std::invalid_argument(
        fmt::format("family {}: no labels; name some, or use an instrument without", name));
}

std::size_t checked_limit(std::string_view name, std::size_t limit) {
    if (limit >= 1 && limit <= kMaxLimit) return limit;
    throw std::invalid_argument(fmt::format("family {}: limit {} is not within 1 and {}; the default is {}",
                                            name, limit, kMaxLimit, FamilyOptions{}.limit));
}

}  // namespace

struct FamilyTable::Combination {
    std::uint64_t hash;
    std::string text;                      ///< each value and a line end
    std::unique_ptr<FamilySeries> series;  ///< null: there was no room for it
};

FamilyTable::FamilyTable(Telemetry& telemetry, std::string_view name, const std::vector<std::string>& labels,
                         const FamilyOptions& options, Make make)
    : labels_(checked_labels(name, labels)),
      limit_(checked_limit(name, options.limit)),
      make_(std::move(make)),
      other_(make_(labelled(std::vector<std::string_view>(labels.size(), kOther)))),
      folded_(telemetry, folded_name(name), fmt::format("Combinations of labels that {} folds", name),
              kFoldedPrecision, {}, options.where),
      places_(std::bit_ceil(2 * limit_)) {}

FamilyTable::~FamilyTable() {
    for (const auto& place : places_)
        delete place.load(std::memory_order_relaxed);
}

FamilySeries& FamilyTable::series(Values values) noexcept {
    assert(values.size() == labels_.size());
    const std::uint64_t hash = hash_of(values);
    // Looked at before the search: whoever filled the table has put everything into it by then.
    const bool is_full = is_full_.load(std::memory_order_acquire);
    const Combination* combination = find(hash, values);
    if (!combination && !is_full && fits(values)) combination = make(hash, values);
    if (combination && combination->series) return *combination->series;
    folded_.add({reinterpret_cast<const char*>(&hash), sizeof hash});
    return *other_;
}

// No value that is in the table has a line end, so the texts of equal combinations only are equal.
bool FamilyTable::holds(const Combination& combination, std::uint64_t hash, Values values) noexcept {
    if (combination.hash != hash) return false;
    std::string_view rest = combination.text;
    for (const std::string_view value : values) {
        if (!rest.starts_with(value)) return false;
        rest.remove_prefix(value.size());
        if (!rest.starts_with('\n')) return false;
        rest.remove_prefix(1);
    }
    return rest.empty();
}

const FamilyTable::Combination* FamilyTable::find(std::uint64_t hash, Values values) const noexcept {
    const std::size_t mask = places_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
        const Combination* const combination = places_[at].load(std::memory_order_acquire);
        if (!combination || holds(*combination, hash, values)) return combination;
    }
}

const FamilyTable::Combination* FamilyTable::make(std::uint64_t hash, Values values) noexcept {
    try {
        const std::lock_guard lock(making_);
        if (const Combination* const made_meanwhile = find(hash, values)) return made_meanwhile;
        if (made_ == limit_) return nullptr;
        auto combination = std::make_unique<Combination>();
        combination->hash = hash;
        for (const std::string_view value : values)
            combination->text.append(value) += '\n';
        try {
            combination->series = make_(labelled(values));
        } catch (const std::length_error&) {
            // The directory never has room again. Known without a series, it is not tried once more.
        }
        const std::size_t mask = places_.size() - 1;
        std::size_t at = hash & mask;
        while (places_[at].load(std::memory_order_relaxed))
            at = (at + 1) & mask;
        const Combination* const made = combination.release();
        places_[at].store(made, std::memory_order_release);
        if (++made_ == limit_) is_full_.store(true, std::memory_order_release);
        return made;
    } catch (...) {
        return nullptr;  // no memory
    }
}

bool FamilyTable::fits(Values values) const noexcept {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
        if (i >= values.size() || !telemetry::is_label_value(values[i])) return false;
        bytes += labels_[i].size() + values[i].size() + 2;
    }
    return bytes <= telemetry::kMaxLabelBytes && values.size() == labels_.size();
}

Labels FamilyTable::labelled(Values values) const {
    Labels labels;
    for (std::size_t i = 0; i < labels_.size(); ++i)
        labels.emplace_back(labels_[i], values[i]);
    return labels;
}

}  // namespace signalbox::detail
