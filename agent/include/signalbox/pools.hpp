// Threads for what must not hold up the event loop: calls that block, and computations that take long.
//
//     signalbox::Pools pools(group.telemetry());
//     router.get("/page", [&pools](signalbox::Request request) -> signalbox::awaitable<signalbox::Response> {
//         auto fetch = [url = std::string(request.query)] { return download(url); };   // blocks
//         std::string page = co_await pools.io_bound("download", fetch);
//         auto shrink = [&page] { return compressed(page); };                          // computes
//         co_return Response::text(co_await pools.cpu_bound_if(page.size() > 10'000, "compressed", shrink));
//     });
//
// The coroutine goes on where it was, with what the function returned or threw. Both queues are bounded: when
// one is full the call throws PoolFull at once, which a server answers with 503. A call from a thread of the
// same pool runs in place, so functions that use a pool can call each other without a deadlock.
//
// The threads of a process start when it first needs them. Create Pools before Group::run(), and no thread.
// (GCC 12: name the function, as above; a capturing lambda inside a co_await expression is miscompiled.)
//
// Each function's name has a Duration of its waits and one of its runs: pool_wait_seconds and pool_run_seconds,
// by pool and function. Beside them are pool_queue_depth, pool_busy_threads and pool_rejected_total, by pool.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "signalbox/telemetry.hpp"

namespace signalbox {

template <class T>
using awaitable = boost::asio::awaitable<T>;

struct PoolOptions {
    unsigned io_threads = 32;       ///< of each process, 1 … 1024
    unsigned cpu_threads = 0;       ///< likewise; 0: as many as the process may use processors
    unsigned queue_capacity = 256;  ///< calls that wait, in each pool, 1 … 1,000,000
};

/// The call was not made, since as many as may wait for the pool do.
class PoolFull : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

class Pool;

/// One call: what the pool does with it. Lives in the coroutine that waits for it.
class PoolCall {
public:
    explicit PoolCall(std::string_view name) : name_(name) {}
    PoolCall(const PoolCall&) = delete;
    PoolCall& operator=(const PoolCall&) = delete;
    virtual ~PoolCall() = default;

protected:
    std::stop_token stop_token() const { return stop_.get_token(); }

private:
    friend class Pool;
    virtual void run() noexcept = 0;

    std::string_view name_;
    std::stop_source stop_;
    std::uint64_t queued_ns_ = 0;
    bool abandoned_ = false;
    std::function<void()> done_;
};

template <class Function>
using PoolResult = typename std::conditional_t<std::is_invocable_v<Function&, std::stop_token>,
                                               std::invoke_result<Function&, std::stop_token>,
                                               std::invoke_result<Function&>>::type;

template <class Function>
class FunctionCall final : public PoolCall {
public:
    using Result = PoolResult<Function>;

    FunctionCall(std::string_view name, Function& function) : PoolCall(name), function_(function) {}

    Result take() {
        if (error_) std::rethrow_exception(error_);
        if constexpr (!std::is_void_v<Result>) return std::move(*value_);
    }

private:
    Result call() {
        if constexpr (std::is_invocable_v<Function&, std::stop_token>)
            return function_(stop_token());
        else
            return function_();
    }
    void run() noexcept override {
        try {
            if constexpr (std::is_void_v<Result>)
                call();
            else
                value_.emplace(call());
        } catch (...) {
            error_ = std::current_exception();
        }
    }

    Function& function_;
    std::optional<std::conditional_t<std::is_void_v<Result>, std::monostate, Result>> value_;
    std::exception_ptr error_;
};

/// Throws PoolFull, or boost::system::system_error (operation_aborted) for a call that was cancelled while it
/// waited.
awaitable<void> make_call(Pool& pool, PoolCall& call);
void call_in_place(Pool& pool, PoolCall& call);

template <class Function>
awaitable<PoolResult<Function>> call_in(Pool& pool, bool in_place, std::string_view name, Function function) {
    FunctionCall<Function> call(name, function);
    if (in_place)
        call_in_place(pool, call);
    else
        co_await make_call(pool, call);
    co_return call.take();
}

}  // namespace detail

/// The pools of a process. The functions may be called from any coroutine of an Asio executor.
///
/// `name` says in the instruments what is called: a literal, or text that lives as long as the call. `function` takes
/// nothing or a std::stop_token. Cancelling the coroutine takes a call that waits out of the queue, and requests a
/// stop from one that runs; what it refers to is safe, since the coroutine waits for its end.
class Pools {
public:
    /// Throws std::invalid_argument for an option out of its range, and as instruments do.
    explicit Pools(Telemetry& telemetry, PoolOptions options = {});
    /// Waits for the functions that run. Nobody may wait for a call any more.
    ~Pools();
    Pools(const Pools&) = delete;
    Pools& operator=(const Pools&) = delete;

    /// For what blocks: files, databases, other servers' blocking clients.
    template <class Function>
    awaitable<detail::PoolResult<Function>> io_bound(std::string_view name, Function function) {
        return detail::call_in(*io_, false, name, std::move(function));
    }
    /// For what computes for more than about a millisecond.
    template <class Function>
    awaitable<detail::PoolResult<Function>> cpu_bound(std::string_view name, Function function) {
        return detail::call_in(*cpu_, false, name, std::move(function));
    }
    /// cpu_bound() if `condition`, else in place: for what only takes long if there is much of it.
    template <class Function>
    awaitable<detail::PoolResult<Function>> cpu_bound_if(bool condition, std::string_view name,
                                                         Function function) {
        return detail::call_in(*cpu_, !condition, name, std::move(function));
    }

private:
    std::unique_ptr<detail::Pool> io_;
    std::unique_ptr<detail::Pool> cpu_;
};

}  // namespace signalbox
