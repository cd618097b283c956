#include "agent/server/asio_task.hpp"

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/scheduler.hpp>

namespace signalbox::server {

namespace {

namespace detail = boost::asio::detail;

// Access is not checked in the arguments of an explicit instantiation ([temp.spec.general]).
template <class Name, typename Name::Type Member>
struct Reveal {
    friend constexpr typename Name::Type member(Name) { return Member; }
};

struct SchedulerTask {
    using Type = detail::scheduler_task* detail::scheduler::*;
    friend constexpr Type member(SchedulerTask);
};
template struct Reveal<SchedulerTask, &detail::scheduler::task_>;

struct ReactorSet {
    using Type = int detail::epoll_reactor::*;
    friend constexpr Type member(ReactorSet);
};
template struct Reveal<ReactorSet, &detail::epoll_reactor::epoll_fd_>;

}  // namespace

AsioReactor wait_with(boost::asio::io_context& io, AsioTask& task) {
    auto& reactor = boost::asio::use_service<detail::epoll_reactor>(io);
    auto& scheduler = boost::asio::use_service<detail::scheduler>(io);
    scheduler.init_task();
    scheduler.*member(SchedulerTask()) = &task;
    return {&reactor, reactor.*member(ReactorSet())};
}

}  // namespace signalbox::server
