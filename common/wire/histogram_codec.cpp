#include "common/wire/histogram_codec.hpp"

#include <cassert>

namespace signalbox::wire {
namespace {

using sketch::ExponentialHistogram;

/// The outermost buckets that values of the covered range can fall into at a scale.
struct BucketRange {
    int first;
    int last;
    explicit BucketRange(int scale)
        : first(sketch::kFirstBucket >> (sketch::kFinestScale - scale)),
          last(sketch::kLastBucket >> (sketch::kFinestScale - scale)) {}
};

int read_scale(Reader& reader) {
    const std::size_t start = reader.offset();
    const std::int64_t scale = reader.signed_number();
    if (scale < sketch::kCoarsestScale || scale > sketch::kFinestScale)
        Reader::fail(start, "there is no histogram scale " + std::to_string(scale));
    return static_cast<int>(scale);
}

int read_first_bucket(Reader& reader, int scale, std::size_t span) {
    const BucketRange range(scale);
    const std::size_t start = reader.offset();
    const std::int64_t first = reader.signed_number();
    // `span` is at most the range's own length, so the subtraction stays in it.
    if (first < range.first || first > range.last + 1 - static_cast<int>(span))
        Reader::fail(start, "buckets from " + std::to_string(first) + " lie outside the covered range");
    return static_cast<int>(first);
}

void read_buckets(Reader& reader, ExponentialHistogram& histogram, int first, std::size_t span) {
    bool previous_was_empty = true;  // so that the first one may not be
    for (std::size_t i = 0; i < span;) {
        const std::size_t start = reader.offset();
        if (const std::uint64_t count = reader.number_up_to(UINT64_MAX); count > 0) {
            if (count > UINT64_MAX - histogram.count())
                Reader::fail(start, "a histogram counts past 64 bits");
            histogram.add_to_bucket(first + static_cast<int>(i), count);
            previous_was_empty = false;
            ++i;
            continue;
        }
        if (previous_was_empty) Reader::fail(start, "a run of empty buckets is at the start or split in two");
        const std::size_t run = reader.number_up_to(span) + 1;
        if (run >= span - i) Reader::fail(start, "a run of empty buckets reaches the end of the histogram");
        previous_was_empty = true;
        i += run;
    }
}

}  // namespace

void write_histogram(Writer& writer, const ExponentialHistogram& histogram) {
    const std::vector<std::uint64_t>& buckets = histogram.buckets();
    assert(histogram.scale() >= sketch::kCoarsestScale && histogram.scale() <= sketch::kFinestScale);
    writer.signed_number(histogram.scale());
    writer.number(histogram.zeros());
    writer.real(histogram.sum());
    writer.number(buckets.size());
    if (buckets.empty()) return;
    assert(histogram.first_bucket() >= BucketRange(histogram.scale()).first);
    assert(histogram.first_bucket() + static_cast<int>(buckets.size()) - 1 <=
           BucketRange(histogram.scale()).last);
    writer.signed_number(histogram.first_bucket());
    for (std::size_t i = 0; i < buckets.size();) {
        writer.number(buckets[i]);
        if (buckets[i++] > 0) continue;
        std::uint64_t more = 0;
        for (; i < buckets.size() && buckets[i] == 0; ++i)
            ++more;
        writer.number(more);
    }
}

ExponentialHistogram read_histogram(Reader& reader, std::size_t& bucket_allowance) {
    ExponentialHistogram histogram(read_scale(reader));
    histogram.add_zeros(reader.number_up_to(UINT64_MAX));
    double sum = 0;
    reader.real(sum);
    histogram.add_sum(sum);

    const BucketRange range(histogram.scale());
    const std::size_t start = reader.offset();
    const std::size_t span = reader.number_up_to(static_cast<std::uint64_t>(range.last - range.first) + 1);
    if (span > bucket_allowance) Reader::fail(start, "the frame's histograms have too many buckets in all");
    bucket_allowance -= span;
    if (span > 0) read_buckets(reader, histogram, read_first_bucket(reader, histogram.scale(), span), span);
    return histogram;
}

}  // namespace signalbox::wire
