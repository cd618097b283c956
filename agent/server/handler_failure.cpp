#include "agent/server/handler_failure.hpp"

#include <boost/core/demangle.hpp>
#include <boost/system/system_error.hpp>
#include <system_error>
#include <typeinfo>

#include "signalbox/pools.hpp"

namespace signalbox::server {

std::string message_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

std::string name_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
        return error.code().message();
    } catch (const std::system_error& error) {
        return error.code().message();
    } catch (const std::exception& exception) {
        return boost::core::demangle(typeid(exception).name());
    } catch (...) {
        return "no std::exception";
    }
}

bool is_overload(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const PoolFull&) {
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace signalbox::server
