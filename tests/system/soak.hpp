// A group under load for long, with everything that makes workers come and go: they leak memory and descriptors until they are
// cycled, all are cycled now and then, handlers fail, bursts are shed, clients vanish in the middle of requests.
//
//     const Soak::Report report = Soak(std::chrono::minutes(10)).run();
//     for (const QString& fault : report.faults) …
#pragma once

#include <QElapsedTimer>
#include <QStringList>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/system/running_group.hpp"

namespace signalbox::tests {

class Soak {
public:
    struct Report {
        QStringList faults;   ///< what was not as it has to be; empty: all was
        QStringList figures;  ///< for a reader
    };

    /// What the agent keeps for its clients fills up for 5 minutes and a little, so memory is judged only if it takes 10
    /// minutes or longer, over what comes after the first 400 s.
    explicit Soak(std::chrono::seconds duration) : duration_(duration) {}

    /// Needs a QCoreApplication.
    Report run();

private:
    /// What should stay as it is.
    struct Sample {
        double second;
        double arbiter_bytes;
        double agent_bytes;
        int arbiter_files;
        int agent_files;
    };

    void disturb(RunningGroup& group, int second);
    void burst(RunningGroup& group) const;
    Sample look(const RunningGroup& group, double second) const;
    void judge_steadiness(Report& report) const;
    void judge_counts(const RunningGroup& group, Report& report) const;
    void judge_load(const QString& name, const QJsonObject& summary, Report& report) const;

    std::chrono::seconds duration_;
    std::vector<Sample> samples_;
};

}  // namespace signalbox::tests
