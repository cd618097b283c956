#include "tests/bench/bench.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

namespace bench {

namespace {

/// One line that is written over, and nothing where nobody would see it.
void show_progress(const std::string& text) {
    if (isatty(STDERR_FILENO)) std::cerr << "\r\033[K" << text << std::flush;
}

}  // namespace

double Side::median() const {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
double Side::min() const {
    return *std::min_element(values.begin(), values.end());
}
double Side::max() const {
    return *std::max_element(values.begin(), values.end());
}

Suite::Suite(std::string name, int argc, char** argv, unsigned default_repetitions)
    : name_(std::move(name)), repetitions_(default_repetitions) {
    CLI::App app{"Measures ours beside a peer, in turns.", "bench_" + name_};
    app.add_option("--repetitions", repetitions_, "Of each side")
        ->check(CLI::Range(1u, 1000u))
        ->capture_default_str();
    app.add_option("--only", only_, "Only what has this in its name");
    app.add_option("--json", json_file_, "Write the figures to this file")->type_name("FILE");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error) == 0 ? 0 : 2);
    }
}

bool Suite::wants(const std::vector<Metric>& metrics) const {
    return std::any_of(metrics.begin(), metrics.end(),
                       [this](const Metric& metric) { return metric.name.find(only_) != std::string::npos; });
}

void Suite::compare(const std::vector<Metric>& metrics, const std::string& peer_name, const Run& ours,
                    const Run& peer) {
    if (!wants(metrics)) return;
    const std::size_t first = rows_.size();
    for (const Metric& metric : metrics)
        rows_.push_back({metric, peer_name, {}, {}});
    const auto keep = [&](const std::vector<double>& values, Side Row::*side) {
        for (std::size_t i = 0; i < metrics.size(); ++i)
            (rows_[first + i].*side).values.push_back(values.at(i));
    };
    for (unsigned repetition = 1; repetition <= repetitions_; ++repetition) {
        show_progress(fmt::format("{}: {} of {} ", metrics.front().name, repetition, repetitions_));
        keep(ours(), &Row::ours);
        keep(peer(), &Row::peer);
    }
    show_progress("");
}

void Suite::compare(const std::string& name, const std::string& unit, const std::string& peer_name,
                    const std::function<double()>& ours, const std::function<double()>& peer) {
    const auto one = [](const std::function<double()>& run) {
        return [&run] { return std::vector<double>{run()}; };
    };
    compare({{name, unit}}, peer_name, one(ours), one(peer));
}

Side Suite::Row::ratios() const {
    Side ratios;
    for (std::size_t i = 0; i < ours.values.size(); ++i) {
        const bool same = ours.values[i] == peer.values[i];  // also of nothing, where a ratio would be none
        ratios.values.push_back(same ? 1 : ours.values[i] / peer.values[i]);
    }
    return ratios;
}

bool Suite::Row::keeps_its_bounds() const {
    const double value = ours.median();
    return (!metric.at_most || value <= *metric.at_most) && (!metric.at_least || value >= *metric.at_least) &&
           (!metric.ratio_at_most || ratio() <= *metric.ratio_at_most);
}

std::string Suite::to_json() const {
    auto list = nlohmann::json::array();
    for (const Row& row : rows_) {
        nlohmann::json entry{{"name", row.metric.name},         {"value", row.ours.median()},
                             {"unit", row.metric.unit},         {"min", row.ours.min()},
                             {"max", row.ours.max()},           {"peer", row.peer_name},
                             {"peer_value", row.peer.median()}, {"ratio", row.ratio()},
                             {"ratio_min", row.ratios().min()}, {"ratio_max", row.ratios().max()}};
        if (row.metric.at_most) entry["at_most"] = *row.metric.at_most;
        if (row.metric.at_least) entry["at_least"] = *row.metric.at_least;
        if (row.metric.ratio_at_most) entry["ratio_at_most"] = *row.metric.ratio_at_most;
        if (row.has_bounds()) entry["passed"] = row.keeps_its_bounds();
        list.push_back(std::move(entry));
    }
    return list.dump(2) + "\n";
}

/// Says how a row stands to its bounds, if it has any. False if it breaks one.
bool Suite::show_bounds(const Row& row) {
    const bool passed = row.keeps_its_bounds();
    const auto show = [&](const char* sign, const std::optional<double>& bound, const std::string& unit,
                          double value) {
        if (bound)
            std::cout << fmt::format("{}  {} {} {} {}: {:.4g}\n", passed ? "passed" : "FAILED",
                                     row.metric.name, sign, *bound, unit, value);
    };
    show("≤", row.metric.at_most, row.metric.unit, row.ours.median());
    show("≥", row.metric.at_least, row.metric.unit, row.ours.median());
    show("≤", row.metric.ratio_at_most, "× " + row.peer_name, row.ratio());
    return passed;
}

int Suite::finish() const {
    std::cout << fmt::format("{:<28} {:>12} {:>24} {:<6} {:>12} {:>24} {:>7} {:>15}  {}\n",
                             "median of " + std::to_string(repetitions_), "ours", "min … max", "unit", "peer",
                             "min … max", "ratio", "min … max", "the peer");
    const auto range = [](const Side& side) {
        return fmt::format("{:.2f} … {:.2f}", side.min(), side.max());
    };
    for (const Row& row : rows_)
        std::cout << fmt::format("{:<28} {:>12.2f} {:>24} {:<6} {:>12.2f} {:>24} {:>7.3f} {:>15}  {}\n",
                                 row.metric.name, row.ours.median(), range(row.ours), row.metric.unit,
                                 row.peer.median(), range(row.peer), row.ratio(), range(row.ratios()),
                                 row.peer_name);
    bool passed = true;
    for (const Row& row : rows_)
        passed = show_bounds(row) && passed;
    if (json_file_.empty()) return passed ? 0 : 1;
    std::ofstream file(json_file_);
    file << to_json() << std::flush;
    if (file) return passed ? 0 : 1;
    std::cerr << "bench_" << name_ << ": cannot write '" << json_file_ << "'\n";
    return 1;
}

}  // namespace bench
