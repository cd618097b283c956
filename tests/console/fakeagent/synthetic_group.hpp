// A group of workers that does not exist: makes the directory, ticks and events that a real one would,
// reproducibly.
//
//     SyntheticGroup group(4);
//     Directory directory = group.directory();
//     Tick tick = group.next(1s);                 // everyone's delta since the last
//     group.cycle(2);                             // the successor appears, the old one drains, then departs
#pragma once

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "common/wire/messages.hpp"

namespace signalbox::test {

class SyntheticGroup {
public:
    /// Indices of the instruments in the directory.
    enum Instrument : std::uint32_t { class2xx, class3xx, class4xx, class5xx, connections, duration };

    /// The first tick ends at `start`; the workers are as old as an hour.
    SyntheticGroup(unsigned workers, wire::WallTime start);

    wire::Directory directory() const;
    wire::Tick next(std::chrono::nanoseconds length);
    /// Everything since the start, numbered as the last delta.
    wire::Tick absolute() const;
    /// What happened since this was last asked.
    wire::Events takeEvents();

    struct Process {
        wire::Worker worker;
        int age = 0;       ///< ticks since it started
        int stateAge = 0;  ///< ticks in this state
    };
    /// The serving worker of a slot; null if there is none.
    const wire::Worker* serving(std::uint32_t slot) const;
    void cycle(std::uint32_t slot);
    void scale(unsigned workers);
    unsigned target() const { return target_; }
    void setState(std::uint32_t slot, wire::WorkerState state);
    void say(wire::Severity severity, std::uint32_t slot, std::string name, std::string text);

private:
    Process& start(std::uint32_t slot);
    void advance(Process& process, double length);
    wire::Series work(Process& process, double length);
    void addUp(const wire::Series& series);

    std::mt19937_64 random_{20240607};
    wire::WallTime now_;
    std::chrono::nanoseconds sinceStart_{0};
    std::uint64_t number_ = 0;
    std::uint64_t nextGeneration_ = 1;
    std::uint32_t nextPid_ = 41200;
    std::uint64_t nextEvent_ = 1;
    unsigned target_;
    std::vector<Process> processes_;
    std::vector<wire::Sample> totals_;
    wire::Events pending_;
};

}  // namespace signalbox::test
