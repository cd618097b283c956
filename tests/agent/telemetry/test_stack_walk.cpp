// Stacks as a signal handler sees them: also from where no unwind table says who called.
#include <pthread.h>
#include <signal.h>

#include <QTest>
#include <atomic>
#include <thread>
#include <vector>

#include "agent/telemetry/stack_walk.hpp"

using namespace signalbox;

#if defined(__x86_64__)

extern "C" {
volatile int stub_may_return = 0;
volatile int stub_is_entered = 0;
void stub_without_tables();
}

// As the stubs of a linker that writes no tables for them.
asm(R"(
    .text
    .type stub_without_tables, @function
stub_without_tables:
    movl $1, stub_is_entered(%rip)
1:  cmpl $0, stub_may_return(%rip)
    je 1b
    ret
)");

namespace {

std::vector<std::uint64_t> found;
std::uint64_t from_where = 0;
std::uint64_t stack_before = 0;
std::uint64_t stack_after = 0;

void look(int, siginfo_t*, void* pointer) {
    auto& context = *static_cast<ucontext_t*>(pointer);
    from_where = telemetry::instruction_of(context);
    stack_before = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RSP]);
    telemetry::walk_callers(
        context,
        [](void*, std::uint64_t address) {
            if (found.size() == found.capacity()) return false;
            found.push_back(address);
            return true;
        },
        nullptr);
    stack_after = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RSP]);
    stub_may_return = 1;
}

[[gnu::noinline]] void calls_the_stub() {
    stub_without_tables();
    asm volatile("" ::: "memory");  // no jump instead of the call
}

[[gnu::noinline]] void calls_the_caller() {
    calls_the_stub();
    asm volatile("" ::: "memory");
}

template <class Function>
bool is_in(std::uint64_t address, Function* function) {
    const auto begin = reinterpret_cast<std::uint64_t>(function);
    return address > begin && address < begin + 64;
}

}  // namespace

#endif

class TestStackWalk : public QObject {
    Q_OBJECT
private slots:
    void a_stub_without_tables_has_callers();
};

void TestStackWalk::a_stub_without_tables_has_callers() {
#if defined(__x86_64__)
    telemetry::prepare_to_walk();
    found.reserve(32);
    struct sigaction action {};
    action.sa_sigaction = look;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGUSR1, &action, nullptr);
    std::thread signaller([self = ::pthread_self()] {
        while (stub_is_entered == 0)
            std::this_thread::yield();
        ::pthread_kill(self, SIGUSR1);
    });
    calls_the_caller();
    signaller.join();
    QVERIFY(is_in(from_where, stub_without_tables));
    QVERIFY(found.size() > 2);
    QVERIFY(is_in(found[0], calls_the_stub));
    QVERIFY(is_in(found[1], calls_the_caller));
    QCOMPARE(stack_after, stack_before);
#else
    QSKIP("the stub is written for x86-64");
#endif
}

QTEST_GUILESS_MAIN(TestStackWalk)
#include "test_stack_walk.moc"
