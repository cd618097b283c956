#include "agent/server/direct_acceptor.hpp"

#include <algorithm>
#include <utility>

namespace signalbox::server {

namespace {

/// In one turn, before other connections have theirs.
constexpr unsigned kMost = 16;
constexpr std::uint64_t kTurn = 1'000'000;
/// How many connections more than another worker's are too many; and while many come and go, so that a difference is
/// often gone in the next moment: in a heartbeat's time.
constexpr std::uint64_t kMargin = 2;
constexpr std::uint64_t kLooseMargin = 4;
constexpr unsigned kMany = 32;
/// Where more wait than are taken for so long, they belong into the queue, where it is known how long they wait.
constexpr std::uint64_t kBehind = 5'000'000;

}  // namespace

DirectAcceptor::DirectAcceptor(WorkerContext& context, const Listener& listener, AcceptQueue& queue,
                               Intake& intake)
    : context_(context),
      listener_(listener),
      queue_(queue),
      intake_(intake),
      load_(context.seat, listener.index),
      door_(listener, queue, context.metrics),
      patience_(context.io),
      watch_(context.poller, listener.socket, DescriptorWatch::How::one_of_many, [this] { accept_some(); }),
      stand_in_(listener, queue, load_, context) {
    load_.set_standing_back(false);
}

DirectAcceptor::~DirectAcceptor() {
    stop();
}

void DirectAcceptor::stop() {
    stopped_ = true;
    watch_.pause();
    patience_.cancel();
    stand_in_.stop();
}

/// Also after what another one was woken for and never took: the kernel does not tell of that again.
void DirectAcceptor::look_after(std::uint64_t now) {
    door_.sweep(now);
    many_come_ = std::exchange(taken_in_beat_, 0) >= kMany;
    woken();
}

void DirectAcceptor::woken() {
    if (stopped_) return;
    watch_.paused() ? come_back() : accept_some();
}

LoadView::Advice DirectAcceptor::ask(std::uint64_t now) const {
    return load_.ask(queue_.depth(), queue_.oldest_ns(), now,
                     many_come_ || taken_in_beat_ >= kMany ? kLooseMargin : kMargin, LoadView::Others::all);
}

void DirectAcceptor::accept_some() {
    const std::uint64_t began = telemetry::monotonic_ns();
    if (queue_.depth() > 0)
        return;  // those that wait there go first, and whoever put them there takes the rest as well
    if (began - std::exchange(looked_ns_, began) > 2 * kTurn) more_since_ = 0;
    if (more_since_ != 0 && began - more_since_ > kBehind) {
        stand_in_.needed();
        more_since_ = 0;
    }
    unsigned most = most_;
    if (!std::exchange(impatient_, false)) {
        const LoadView::Advice advice = ask(began);
        if (advice.others_first != LoadView::Reason::none) return stand_back(advice.slot);
        most = std::min(most, advice.room);
    }
    queue_.admission().begin_turn(0, context_.idle_ns, began);
    unsigned taken = 0;
    bool all = false;
    for (std::uint64_t now = began; taken < most && now - began < kTurn && !all;
         now = telemetry::monotonic_ns()) {
        AcceptedSocket socket;
        switch (door_.accept_now(listener_.socket, now, socket)) {
            case Doorkeeper::Result::taken:
                if (socket.descriptor < 0) break;
                queue_.admission().took(++taken);
                intake_.serve(socket, now);
                break;
            case Doorkeeper::Result::retry_later:
                watch_.pause();  // the next heartbeat tries again
                load_.set_standing_back(true);
                [[fallthrough]];
            case Doorkeeper::Result::none:
                all = true;
        }
        if (stopped_) return;
    }
    taken_in_beat_ += taken;
    took(taken, most, all, began);
}

/// Looking for one more costs a system call, so it takes no more than wait as a rule.
void DirectAcceptor::took(unsigned connections, unsigned most, bool all, std::uint64_t now) {
    if (all) {
        most_ = std::max(connections, 1u);
        more_since_ = 0;
    } else if (connections == most_) {
        most_ = std::min(2 * most_, kMost);
    }
    if (!all && most == kMost && more_since_ == 0) more_since_ = now;
}

// ---- whose turn it is

void DirectAcceptor::stand_back(unsigned slot) {
    watch_.pause();
    load_.set_standing_back(true);
    context_.wakeups->wake(slot);
    if (!is_patient_) wait_patiently();
}

void DirectAcceptor::come_back() {
    if (!impatient_ && ask(telemetry::monotonic_ns()).others_first != LoadView::Reason::none) return;
    load_.set_standing_back(false);
    watch_.resume();
}

void DirectAcceptor::wait_patiently() {
    is_patient_ = true;
    progress_ = load_.progress_of_others();
    patience_.expires_after(std::chrono::nanoseconds(kPatienceNs));
    patience_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& ec) {
        if (!ec && alive.lock()) lose_patience();
    });
}

void DirectAcceptor::lose_patience() {
    is_patient_ = false;
    if (stopped_ || !watch_.paused() || !somebody_waits(listener_.socket)) return;
    if (load_.progress_of_others() != progress_) return wait_patiently();
    impatient_ = true;
    come_back();
}

}  // namespace signalbox::server
