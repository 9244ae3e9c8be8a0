#pragma once

#include "detail.h"

#include <torch/serialize/archive.h>
#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

namespace natgrad::detail {

/// Entries of an archive. Those that read throw `c10::Error`, saying that the archive is another's,
/// where the entry is missing or of another kind; tensors come back on the CPU.

void write(torch::serialize::OutputArchive& archive, const std::string& key,
           const torch::Tensor& value);
torch::Tensor read(torch::serialize::InputArchive& archive, const std::string& key);

void write_number(torch::serialize::OutputArchive& archive, const std::string& key, int64_t number);
int64_t read_number(torch::serialize::InputArchive& archive, const std::string& key);

/// Of double.
void write_numbers(torch::serialize::OutputArchive& archive, const std::string& key,
                   const std::vector<double>& numbers);
std::vector<double> read_numbers(torch::serialize::InputArchive& archive, const std::string& key);

void write_text(torch::serialize::OutputArchive& archive, const std::string& key,
                const std::string& text);
/// Nothing where there is no such entry.
std::optional<std::string> read_text_if_there(torch::serialize::InputArchive& archive,
                                              const std::string& key);

void write_list(torch::serialize::OutputArchive& archive, const std::string& key,
                const std::vector<torch::Tensor>& values);
std::vector<torch::Tensor> read_list(torch::serialize::InputArchive& archive,
                                     const std::string& key);

}  // namespace natgrad::detail
