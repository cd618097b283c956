// A move-only function of any kind, kept in place if it is small: what waits for a socket is called once and then gone, and
// must not cost an allocation each time.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace signalbox::server {

template <class Signature>
class InlineFunction;

/// Up to 64 bytes, with a move that does not throw, are kept in place; anything else is allocated.
template <class... Arguments>
class InlineFunction<void(Arguments...)> {
public:
    InlineFunction() noexcept = default;
    template <class Function>
    requires(!std::is_same_v<std::decay_t<Function>, InlineFunction>)
        InlineFunction(Function&& function) {  // NOLINT(google-explicit-constructor): as std::function
        using Kept = std::decay_t<Function>;
        if constexpr (fits<Kept>()) {
            ::new (static_cast<void*>(room_)) Kept(std::forward<Function>(function));
            actions_ = &kActions<Kept>;
        } else {
            auto elsewhere =
                [pointer = std::make_unique<Kept>(std::forward<Function>(function))](Arguments... arguments) {
                    (*pointer)(std::forward<Arguments>(arguments)...);
                };
            ::new (static_cast<void*>(room_)) decltype(elsewhere)(std::move(elsewhere));
            actions_ = &kActions<decltype(elsewhere)>;
        }
    }
    InlineFunction(InlineFunction&& other) noexcept : actions_(std::exchange(other.actions_, nullptr)) {
        if (actions_) actions_->move(room_, other.room_);
    }
    InlineFunction& operator=(InlineFunction&& other) noexcept {
        if (this == &other) return *this;
        reset();
        actions_ = std::exchange(other.actions_, nullptr);
        if (actions_) actions_->move(room_, other.room_);
        return *this;
    }
    ~InlineFunction() { reset(); }

    explicit operator bool() const noexcept { return actions_ != nullptr; }
    void operator()(Arguments... arguments) { actions_->call(room_, std::forward<Arguments>(arguments)...); }

private:
    static constexpr std::size_t kRoom = 64;

    struct Actions {
        void (*call)(void*, Arguments...);
        void (*move)(void* to, void* from) noexcept;  ///< and destroys what was moved from
        void (*destroy)(void*) noexcept;
    };
    template <class Kept>
    static constexpr bool fits() {
        return sizeof(Kept) <= kRoom && alignof(Kept) <= alignof(std::max_align_t) &&
               std::is_nothrow_move_constructible_v<Kept>;
    }
    template <class Kept>
    static constexpr Actions kActions = {
        [](void* kept, Arguments... arguments) {
            (*static_cast<Kept*>(kept))(std::forward<Arguments>(arguments)...);
        },
        [](void* to, void* from) noexcept {
            ::new (to) Kept(std::move(*static_cast<Kept*>(from)));
            static_cast<Kept*>(from)->~Kept();
        },
        [](void* kept) noexcept { static_cast<Kept*>(kept)->~Kept(); }};

    void reset() noexcept {
        if (actions_) std::exchange(actions_, nullptr)->destroy(room_);
    }

    const Actions* actions_ = nullptr;
    alignas(std::max_align_t) std::byte room_[kRoom];
};

}  // namespace signalbox::server
