#include "optim/archive_entries.h"

#include <fmt/format.h>
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;
using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;

namespace {

void check_entry(bool is_right, const std::string& key) {
  TORCH_CHECK(is_right, "natgrad: the archive lacks '", key,
              "', or holds something else under that name, so it is not the state of a "
              "NaturalGradient optimizer of this version; load what torch::save(optimizer, ...) "
              "wrote, and a file of save_checkpoint by load_checkpoint.");
}

/// An archive takes a view's whole storage.
Tensor compact(const Tensor& value) {
  const auto own = static_cast<size_t>(value.numel()) * value.element_size();
  return value.storage().nbytes() > own ? value.detach().clone() : value.detach();
}

}  // namespace

void write(OutputArchive& archive, const std::string& key, const Tensor& value) {
  archive.write(key, compact(value), /*is_buffer=*/true);
}

Tensor read(InputArchive& archive, const std::string& key) {
  Tensor value;
  check_entry(archive.try_read(key, value, /*is_buffer=*/true) && value.defined(), key);
  return value.cpu();  // torch::load may put the archive on another device
}

void write_number(OutputArchive& archive, const std::string& key, int64_t number) {
  write(archive, key, torch::tensor(number));
}

int64_t read_number(InputArchive& archive, const std::string& key) {
  const auto value = read(archive, key);
  check_entry(value.scalar_type() == torch::kLong && value.numel() == 1, key);
  return value.item<int64_t>();
}

void write_numbers(OutputArchive& archive, const std::string& key,
                   const std::vector<double>& numbers) {
  write(archive, key, torch::tensor(numbers, torch::kDouble));
}

std::vector<double> read_numbers(InputArchive& archive, const std::string& key) {
  const auto value = read(archive, key).contiguous();
  check_entry(value.scalar_type() == torch::kDouble && value.dim() <= 1, key);
  const auto* numbers = value.data_ptr<double>();
  return {numbers, numbers + value.numel()};
}

void write_text(OutputArchive& archive, const std::string& key, const std::string& text) {
  archive.write(key, c10::IValue(text));
}

std::optional<std::string> read_text_if_there(InputArchive& archive, const std::string& key) {
  c10::IValue value;
  if (!archive.try_read(key, value)) return std::nullopt;
  check_entry(value.isString(), key);
  return value.toStringRef();
}

void write_list(OutputArchive& archive, const std::string& key, const std::vector<Tensor>& values) {
  write_number(archive, key, static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i)
    write(archive, fmt::format("{}_{}", key, i), values[i]);
}

std::vector<Tensor> read_list(InputArchive& archive, const std::string& key) {
  const auto count = read_number(archive, key);
  check_entry(count >= 0, key);
  std::vector<Tensor> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(read(archive, fmt::format("{}_{}", key, i)));
  return values;
}

}  // namespace natgrad::detail
