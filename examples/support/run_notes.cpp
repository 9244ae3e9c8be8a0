#include "support/run_notes.h"

#include <c10/util/Exception.h>
#include <torch/types.h>

#include <filesystem>
#include <vector>

namespace examples {

torch::Tensor to_note(const std::string& text) {
  const std::vector<uint8_t> bytes(text.begin(), text.end());
  return torch::tensor(bytes, torch::kUInt8);
}

void check_same_run(const torch::Tensor& note, const std::string& run, const std::string& path) {
  const auto bytes = note.contiguous();
  const auto* begin = bytes.data_ptr<uint8_t>();
  const std::string saved(begin, begin + bytes.numel());
  TORCH_CHECK(saved == run, path, ": is of another run (", saved, ") than this one (", run,
              "); --resume takes the same options, and without it a new run begins.");
}

void check_can_resume(const std::string& path) {
  std::error_code none;
  TORCH_CHECK(std::filesystem::exists(path, none), path,
              ": there is no such checkpoint to resume from; without --resume a new run begins.");
}

void remove_checkpoint(const std::string& path) {
  std::error_code none;
  std::filesystem::remove(path, none);
}

}  // namespace examples
