#include "signalbox/pools.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/shielded_thread.hpp"
#include "signalbox/family.hpp"

namespace signalbox::detail {
namespace {

unsigned usable_processors() {
    cpu_set_t usable;
    if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return std::thread::hardware_concurrency();
    return static_cast<unsigned>(std::max(CPU_COUNT(&usable), 1));
}

/// The pool whose thread this is.
thread_local constinit const Pool* pool_here = nullptr;

std::chrono::nanoseconds since(std::uint64_t instant, std::uint64_t now) {
    return std::chrono::nanoseconds(now > instant ? now - instant : 0);
}

}  // namespace

/// Threads and their queue. Threads are started one at a time, when a call finds none idle.
class Pool {
public:
    Pool(Telemetry& telemetry, std::string name, unsigned threads, unsigned queue_capacity)
        : name_(std::move(name)),
          most_threads_(threads),
          capacity_(queue_capacity),
          waits_(telemetry, "pool_wait_seconds", "From a call to its begin in a thread of the pool",
                 {"pool", "function"}),
          runs_(telemetry, "pool_run_seconds", "Run time of functions in the pool", {"pool", "function"}),
          depth_(telemetry, "pool_queue_depth", "Calls that wait for a thread", Gauge::Merge::sum,
                 {{"pool", name_}}),
          busy_(telemetry, "pool_busy_threads", "Threads that run a function", Gauge::Merge::sum,
                {{"pool", name_}}),
          rejected_(telemetry, "pool_rejected_total", "Calls that were refused since the queue was full",
                    {{"pool", name_}}) {}

    ~Pool() {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        work_is_there_.notify_all();
        for (std::thread& thread : threads_)
            thread.join();
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    bool is_here() const { return pool_here == this; }

    void run_in_place(PoolCall& call) {
        const auto timer = runs_.with(name_, call.name_).time();
        call.run();
    }

    /// `done` is called once, by a thread of the pool or by cancel(). Throws PoolFull.
    void start(PoolCall& call, std::function<void()> done) {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= capacity_ + idle_) {
            rejected_.add();
            throw PoolFull(fmt::format(
                "{} was not called: {} calls wait for the {} threads of the {} pool, its queue_capacity",
                call.name_, capacity_, threads_.size(), name_));
        }
        if (idle_ <= waiting_.size() && threads_.size() < most_threads_) start_thread();
        call.queued_ns_ = telemetry::monotonic_ns();
        call.done_ = std::move(done);
        waiting_.push_back(&call);
        depth_.add(1);
        work_is_there_.notify_one();
    }

    void cancel(PoolCall& call) {
        call.stop_.request_stop();
        {
            const std::lock_guard lock(mutex_);
            const auto found = std::find(waiting_.begin(), waiting_.end(), &call);
            if (found == waiting_.end()) return;  // it runs, or has
            waiting_.erase(found);
            depth_.add(-1);
            call.abandoned_ = true;
        }
        finish(call);
    }

    static bool abandoned(const PoolCall& call) { return call.abandoned_; }

private:
    void start_thread() {
        try {
            threads_.push_back(telemetry::start_shielded([this] { serve(); }));
        } catch (const std::system_error&) {
            if (threads_.empty()) throw;  // else those that there are get to it
        }
    }

    void serve() {
        pool_here = this;
        ::pthread_setname_np(::pthread_self(), fmt::format("{}-pool", name_).c_str());
        std::unique_lock lock(mutex_);
        for (;;) {
            ++idle_;
            work_is_there_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
            --idle_;
            if (ending_) return;
            PoolCall& call = *waiting_.front();
            waiting_.pop_front();
            depth_.add(-1);
            lock.unlock();
            run(call);
            lock.lock();
        }
    }

    void run(PoolCall& call) {
        const std::uint64_t begin = telemetry::monotonic_ns();
        waits_.with(name_, call.name_).record(since(call.queued_ns_, begin));
        busy_.add(1);
        call.run();
        busy_.add(-1);
        runs_.with(name_, call.name_).record(since(begin, telemetry::monotonic_ns()));
        finish(call);
    }
    /// The call is gone as soon as its coroutine runs, which may be in the middle of this.
    static void finish(PoolCall& call) { std::exchange(call.done_, nullptr)(); }

    const std::string name_;
    const std::size_t most_threads_;
    const std::size_t capacity_;
    Family<Duration> waits_;
    Family<Duration> runs_;
    Gauge depth_;
    Gauge busy_;
    Counter rejected_;

    std::mutex mutex_;  ///< guards what follows
    std::condition_variable work_is_there_;
    std::deque<PoolCall*> waiting_;
    std::size_t idle_ = 0;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

namespace {

/// Hands a call to a pool, and the coroutine's continuation back to its executor.
struct Initiation {
    Pool& pool;
    PoolCall& call;

    template <class Handler>
    void operator()(Handler&& given) const {
        namespace asio = boost::asio;
        auto handler = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(given));
        // The executor has work as long as the call is out.
        auto executor =
            asio::prefer(asio::get_associated_executor(*handler), asio::execution::outstanding_work.tracked);
        auto slot = asio::get_associated_cancellation_slot(*handler);
        const auto finish = [handler, executor, slot](std::exception_ptr error) {
            asio::post(executor, [handler, slot = asio::cancellation_slot(slot), error]() mutable {
                if (slot.is_connected()) slot.clear();
                std::move (*handler)(error);
            });
        };
        try {
            pool.start(call, [finish] { finish(nullptr); });
        } catch (...) {
            return finish(std::current_exception());
        }
        if (slot.is_connected())
            slot.assign([&pool = pool, &call = call](asio::cancellation_type type) {
                if (type != asio::cancellation_type::none) pool.cancel(call);
            });
    }
};

}  // namespace

awaitable<void> make_call(Pool& pool, PoolCall& call) {
    if (pool.is_here()) co_return pool.run_in_place(call);
    const Initiation initiation{pool, call};
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(std::exception_ptr)>(
        initiation, boost::asio::use_awaitable);
    if (Pool::abandoned(call)) throw boost::system::system_error(boost::asio::error::operation_aborted);
}

void call_in_place(Pool& pool, PoolCall& call) {
    pool.run_in_place(call);
}

namespace {

unsigned checked(std::string_view option, unsigned value, unsigned most) {
    if (value < 1 || value > most)
        throw std::invalid_argument(fmt::format("{}: {} is not between 1 and {}", option, value, most));
    return value;
}

}  // namespace
}  // namespace signalbox::detail

namespace signalbox {

Pools::Pools(Telemetry& telemetry, PoolOptions options) {
    constexpr unsigned kMostThreads = 1024;
    const unsigned capacity = detail::checked("queue_capacity", options.queue_capacity, 1'000'000);
    const unsigned cpu_threads = options.cpu_threads == 0 ? detail::usable_processors() : options.cpu_threads;
    io_ = std::make_unique<detail::Pool>(
        telemetry, "io", detail::checked("io_threads", options.io_threads, kMostThreads), capacity);
    cpu_ = std::make_unique<detail::Pool>(
        telemetry, "cpu", detail::checked("cpu_threads", cpu_threads, kMostThreads), capacity);
}

Pools::~Pools() = default;

}  // namespace signalbox
