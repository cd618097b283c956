// An eventfd for each slot, with which anybody in the group can wake the event loop of the worker there: its own threads,
// and other workers that leave something to it. Made before the first fork, so that every worker has them all.
#pragma once

#include <vector>

namespace signalbox::server {

class Wakeups {
public:
    /// Throws std::system_error.
    explicit Wakeups(unsigned slots);
    ~Wakeups();
    Wakeups(const Wakeups&) = delete;
    Wakeups& operator=(const Wakeups&) = delete;

    /// Any thread. Each wakes once, however often it is called before the loop turns.
    void wake(unsigned slot) const;
    /// Readable from the first wake() on: to be watched for each write, since nobody reads it.
    int of(unsigned slot) const { return descriptors_.at(slot); }
    const std::vector<int>& descriptors() const { return descriptors_; }

private:
    std::vector<int> descriptors_;
};

}  // namespace signalbox::server
