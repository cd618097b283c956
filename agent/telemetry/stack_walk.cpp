#include "agent/telemetry/stack_walk.hpp"

#include <unwind.h>

namespace signalbox::telemetry {
namespace {

struct Walk {
    std::uint64_t from;
    bool (*visit)(void*, std::uint64_t);
    void* argument;
    bool handler_passed = false;
};

/// The first frames are the handler's own, up to the one where the signal came.
_Unwind_Reason_Code step(_Unwind_Context* context, void* argument) {
    Walk& walk = *static_cast<Walk*>(argument);
    const auto address = static_cast<std::uint64_t>(_Unwind_GetIP(context));
    if (!walk.handler_passed) {
        walk.handler_passed = address == walk.from;
        return _URC_NO_REASON;
    }
    if (address == 0 || !walk.visit(walk.argument, address)) return _URC_END_OF_STACK;
    return _URC_NO_REASON;
}

_Unwind_Reason_Code step_over(_Unwind_Context*, void*) {
    return _URC_NO_REASON;
}

}  // namespace

std::uint64_t instruction_of(const ucontext_t& context) {
#if defined(__x86_64__)
    return static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
    return context.uc_mcontext.pc;
#else
    static_cast<void>(context);
    return 0;
#endif
}

void walk_callers(const ucontext_t& context, bool (*visit)(void*, std::uint64_t), void* argument) {
    Walk walk{instruction_of(context), visit, argument};
    _Unwind_Backtrace(step, &walk);
}

void prepare_to_walk() {
    _Unwind_Backtrace(step_over, nullptr);
}

}  // namespace signalbox::telemetry
