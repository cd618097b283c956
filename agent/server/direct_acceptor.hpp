// How a worker accepts from the shared socket (Accept::queue): its event loop does, and serves at once what it takes. While
// the loop is away, a thread stands in for it (stand_in.hpp).
//
// One of the event loops that wait is woken for a connection. It takes as many as it may have more than the others, and
// then stands back: it does not wait at the socket any more, and wakes the worker that has fewest. Who stands back comes
// again when it is woken by another, or at the next heartbeat, if it is its turn then; or when somebody has waited for
// 5 ms and none of the others has taken anything.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>

#include "agent/server/acceptor.hpp"
#include "agent/server/doorkeeper.hpp"
#include "agent/server/intake.hpp"
#include "agent/server/load.hpp"
#include "agent/server/stand_in.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

class DirectAcceptor final : public Acceptor {
public:
    /// Starts. Everything outlives it.
    DirectAcceptor(WorkerContext& context, const Listener& listener, AcceptQueue& queue, Intake& intake);
    ~DirectAcceptor() override;

    void stop() override;
    void look_after(std::uint64_t now) override;
    void woken() override;
    bool finished() const override { return door_.idle() && stand_in_.finished(); }

private:
    void accept_some();
    void took(unsigned connections, unsigned most, bool all, std::uint64_t now);
    LoadView::Advice ask(std::uint64_t now) const;
    void stand_back(unsigned slot);
    void come_back();
    void lose_patience();
    void wait_patiently();

    WorkerContext& context_;
    const Listener& listener_;
    AcceptQueue& queue_;
    Intake& intake_;
    LoadView load_;
    Doorkeeper door_;
    unsigned taken_in_beat_ = 0;   ///< since the last heartbeat
    bool many_come_ = false;       ///< in the one before
    std::uint64_t looked_ns_ = 0;  ///< when it accepted last
    unsigned most_ = 1;            ///< to take in one turn
    std::uint64_t more_since_ =
        0;  ///< in every turn since then more waited than were taken; 0: not in the last
    bool impatient_ = false;
    boost::asio::steady_timer patience_;
    bool is_patient_ = false;                                     ///< the timer runs
    std::uint64_t progress_ = 0;                                  ///< of the others, when it began
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< for the timer's last word
    bool stopped_ = false;
    DescriptorWatch watch_;
    StandIn stand_in_;
};

}  // namespace signalbox::server
