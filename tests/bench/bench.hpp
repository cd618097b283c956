// Measuring ours beside a peer, fairly: in turns, several times, with medians.
//
//     int main(int argc, char** argv) {
//         bench::Suite suite("record", argc, argv, 9);                  // --repetitions N, --only NAME, --json FILE
//         suite.compare("counter_add", "ns", "prometheus-cpp", [&] { return ours(); }, [&] { return theirs(); });
//         return suite.finish();                                        // the table, and FILE
//     }
//
// What disturbs a machine comes and goes over seconds; taking turns spreads it over both sides. The ratio is the median of
// ours ÷ peer, each run by the one that followed it. A metric may have a bound, which our median or the ratio has to keep,
// or the program fails.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bench {

/// What one run of one side measured, one value for each metric of the comparison.
using Run = std::function<std::vector<double>()>;

struct Metric {
    std::string name;
    std::string unit;
    std::optional<double> at_most{};
    std::optional<double> at_least{};
    std::optional<double> ratio_at_most{};
};

struct Side {
    std::vector<double> values;
    double median() const;
    double min() const;
    double max() const;
};

class Suite {
public:
    /// Reads the command line; on --help or a wrong one it says so and leaves the program.
    Suite(std::string name, int argc, char** argv, unsigned default_repetitions);

    /// Runs both in turns and remembers the figures. Throws what they throw.
    void compare(const std::vector<Metric>& metrics, const std::string& peer_name, const Run& ours,
                 const Run& peer);
    void compare(const std::string& name, const std::string& unit, const std::string& peer_name,
                 const std::function<double()>& ours, const std::function<double()>& peer);

    /// Prints the table and writes the JSON file. The exit status: 1 if a bound is not kept.
    int finish() const;

private:
    struct Row {
        Metric metric;
        std::string peer_name;
        Side ours;
        Side peer;
        bool keeps_its_bounds() const;
        bool has_bounds() const { return metric.at_most || metric.at_least || metric.ratio_at_most; }
        Side ratios() const;
        double ratio() const { return ratios().median(); }
    };
    static bool show_bounds(const Row& row);
    std::string to_json() const;
    bool wants(const std::vector<Metric>& metrics) const;

    std::string name_;
    unsigned repetitions_;
    std::string only_;
    std::string json_file_;
    std::vector<Row> rows_;
};

}  // namespace bench
