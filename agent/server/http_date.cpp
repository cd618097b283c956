#include "agent/server/http_date.hpp"

#include <algorithm>
#include <array>

namespace signalbox::server {

namespace {

constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// Takes things off the front of a text; once something is not there, nothing is any more.
class Reader {
public:
    explicit Reader(std::string_view text) : rest_(text) {}

    bool at_end() const { return good_ && rest_.empty(); }
    void skip(std::string_view expected) {
        good_ = good_ && rest_.starts_with(expected);
        if (good_) rest_.remove_prefix(expected.size());
    }
    int number(std::size_t digits) {
        int value = 0;
        for (std::size_t i = 0; i < digits; ++i) {
            good_ = good_ && i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9';
            if (good_) value = value * 10 + (rest_[i] - '0');
        }
        if (good_) rest_.remove_prefix(digits);
        return value;
    }
    int month() {
        const std::size_t at = rest_.size() < 3 ? kMonths.npos : kMonths.find(rest_.substr(0, 3));
        good_ = good_ && at != kMonths.npos && at % 3 == 0;
        if (good_) rest_.remove_prefix(3);
        return static_cast<int>(at / 3);
    }
    /// As long as it is written, or of three letters.
    void day_of_week(bool whole) {
        const auto found = std::find_if(kDays.begin(), kDays.end(), [&](std::string_view day) {
            return rest_.starts_with(whole ? day : day.substr(0, 3));
        });
        good_ = good_ && found != kDays.end();
        if (good_) rest_.remove_prefix(whole ? found->size() : 3);
    }
    void time(std::tm& to) {
        to.tm_hour = number(2);
        skip(":");
        to.tm_min = number(2);
        skip(":");
        to.tm_sec = number(2);
    }
    char front() const { return rest_.empty() ? '\0' : rest_.front(); }

private:
    std::string_view rest_;
    bool good_ = true;
};

/// The year that two digits mean: not more than 50 years ahead (RFC 9110, section 5.6.7).
int year_of_two_digits(int year) {
    const std::time_t now = std::time(nullptr);
    std::tm today{};
    gmtime_r(&now, &today);
    year += today.tm_year / 100 * 100;
    return year > today.tm_year + 50 ? year - 100 : year;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT"
struct Preferred {
    static constexpr bool kWholeDay = false;
    static constexpr std::string_view kBetween = " ";
    static int year(Reader& reader) { return reader.number(4) - 1900; }
};

/// "Sunday, 06-Nov-94 08:49:37 GMT"
struct Rfc850 {
    static constexpr bool kWholeDay = true;
    static constexpr std::string_view kBetween = "-";
    static int year(Reader& reader) { return year_of_two_digits(reader.number(2)); }
};

template <class Form>
bool read(Reader reader, std::tm& to) {
    reader.day_of_week(Form::kWholeDay);
    reader.skip(", ");
    to.tm_mday = reader.number(2);
    reader.skip(Form::kBetween);
    to.tm_mon = reader.month();
    reader.skip(Form::kBetween);
    to.tm_year = Form::year(reader);
    reader.skip(" ");
    reader.time(to);
    reader.skip(" GMT");
    return reader.at_end();
}

bool read_asctime(Reader reader, std::tm& to) {
    reader.day_of_week(false);
    reader.skip(" ");
    to.tm_mon = reader.month();
    reader.skip(" ");
    const bool one_digit = reader.front() == ' ';
    if (one_digit) reader.skip(" ");
    to.tm_mday = reader.number(one_digit ? 1 : 2);
    reader.skip(" ");
    reader.time(to);
    reader.skip(" ");
    to.tm_year = reader.number(4) - 1900;
    return reader.at_end();
}

bool is_possible(const std::tm& time) {
    return time.tm_mday >= 1 && time.tm_mday <= 31 && time.tm_hour <= 23 && time.tm_min <= 59 &&
           time.tm_sec <= 60;
}

}  // namespace

std::optional<std::time_t> parse_http_date(std::string_view text) {
    std::tm time{};
    const Reader reader(text);
    if (!read<Preferred>(reader, time) && !read<Rfc850>(reader, time) && !read_asctime(reader, time))
        return std::nullopt;
    if (!is_possible(time)) return std::nullopt;
    return timegm(&time);
}

}  // namespace signalbox::server
