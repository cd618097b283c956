#include "agent/telemetry/stack_walk.hpp"

#include <dlfcn.h>
#include <sys/uio.h>
#include <unistd.h>
#include <unwind.h>

#include <cstddef>

namespace signalbox::telemetry {
namespace {

struct Walk {
    std::uint64_t from;
    bool (*visit)(void*, std::uint64_t);
    void* argument;
    bool handler_passed = false;
    bool found_any = false;
};

/// The first frames are the handler's own, up to the one where the signal came.
_Unwind_Reason_Code step(_Unwind_Context* context, void* argument) {
    Walk& walk = *static_cast<Walk*>(argument);
    const auto address = static_cast<std::uint64_t>(_Unwind_GetIP(context));
    if (!walk.handler_passed) {
        walk.handler_passed = address == walk.from;
        return _URC_NO_REASON;
    }
    if (address == 0) return _URC_END_OF_STACK;
    walk.found_any = true;
    if (!walk.visit(walk.argument, address)) return _URC_END_OF_STACK;
    return _URC_NO_REASON;
}

_Unwind_Reason_Code step_over(_Unwind_Context*, void*) {
    return _URC_NO_REASON;
}

/// Calls it for what is behind the instruction of the signal's context. False: nobody knows how to go on from there.
bool walk(std::uint64_t from, bool (*visit)(void*, std::uint64_t), void* argument) {
    Walk walk{from, visit, argument};
    _Unwind_Backtrace(step, &walk);
    return walk.found_any;
}

/// Makes it what it will be when the function returns that has done nothing yet. False: no such address is there.
bool return_at_once(ucontext_t& context) {
    std::uint64_t address = 0;
#if defined(__x86_64__)
    auto& registers = context.uc_mcontext.gregs;
    // The kernel looks, since the stack itself may be what is broken.
    iovec to{&address, sizeof address};
    iovec from{reinterpret_cast<void*>(registers[REG_RSP]), sizeof address};
    if (::process_vm_readv(::getpid(), &to, 1, &from, 1, 0) != sizeof address) return false;
#elif defined(__aarch64__)
    address = context.uc_mcontext.regs[30];
#endif
    dl_find_object object{};
    if (::_dl_find_object(reinterpret_cast<void*>(address), &object) != 0) return false;
#if defined(__x86_64__)
    registers[REG_RIP] = static_cast<greg_t>(address);
    registers[REG_RSP] += sizeof address;
#elif defined(__aarch64__)
    context.uc_mcontext.pc = address;
#endif
    return true;
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

void walk_callers(ucontext_t& context, bool (*visit)(void*, std::uint64_t), void* argument) {
    if (walk(instruction_of(context), visit, argument)) return;
    const mcontext_t as_it_was = context.uc_mcontext;
    if (return_at_once(context)) {
        const std::uint64_t caller = instruction_of(context);
        if (visit(argument, caller)) walk(caller, visit, argument);
    }
    context.uc_mcontext = as_it_was;
}

void prepare_to_walk() {
    _Unwind_Backtrace(step_over, nullptr);
}

}  // namespace signalbox::telemetry
