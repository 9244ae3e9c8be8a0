#include <fmt/format.h>
#include <natgrad/optim/checkpoint.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <mutex>
#include <unordered_set>

#include "libtorch/archive_code.h"
#include "libtorch/errors.h"
#include "optim/archive_entries.h"
#include "optim/preserved.h"
#include "optim/whole_file.h"

namespace natgrad {

using torch::Tensor;
using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;
using NamedTensors = std::vector<CheckpointModel::NamedTensor>;

namespace {

constexpr int64_t kFileVersion = 1;
constexpr const char* kFileVersionKey = "natgrad_checkpoint";

/// The last bytes of the file, behind LibTorch's archive: whoever finds them finds it whole.
struct Seal {
  std::array<char, 16> magic = {'n', 'a', 't', 'g', 'r', 'a', 'd', ' ',
                                'c', 'h', 'e', 'c', 'k', 'p', 't', '\n'};
  uint64_t size = 0;  // of the archive
  uint64_t digest = 0;
};
static_assert(sizeof(Seal) == 32);

/// The archive in a sealed file.
class SealedFile {
 public:
  explicit SealedFile(const std::string& path) : path_(path), file_(path, std::ios::binary) {
    TORCH_CHECK(file_, "natgrad: there is no checkpoint that can be read at ", path,
                "; nothing was changed.");
    check_seal();
  }
  InputArchive archive() {
    const auto size = static_cast<size_t>(seal_.size);
    const auto read = [this](uint64_t place, void* to, size_t count) {
      file_.clear();
      file_.seekg(static_cast<std::streamoff>(place));
      file_.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
      return static_cast<size_t>(file_.gcount());
    };
    TORCH_CHECK(!archive_holds_code(read, size), "natgrad: ", path_,
                " holds functions, which loading it might run, and save_checkpoint writes none; "
                "nothing was changed.");
    InputArchive archive;
    archive.load_from(
        read, [size] { return size; }, torch::kCPU);
    return archive;
  }

 private:
  void check_seal() {
    file_.seekg(0, std::ios::end);
    const auto size = static_cast<int64_t>(file_.tellg());
    const auto sealed = static_cast<int64_t>(sizeof(Seal));
    if (size >= sealed) {
      file_.seekg(size - sealed);
      file_.read(reinterpret_cast<char*>(&seal_), sealed);
    }
    TORCH_CHECK(size >= sealed && file_ && seal_.magic == Seal().magic, "natgrad: ", path_,
                " is no checkpoint of natgrad::save_checkpoint, or its end is missing; nothing was "
                "changed.");
    TORCH_CHECK(static_cast<int64_t>(seal_.size) == size - sealed && digest() == seal_.digest,
                "natgrad: the checkpoint ", path_,
                " was altered since it was saved; nothing was changed.");
  }
  uint64_t digest() {
    std::vector<char> block(1 << 20);
    Digest digest;
    file_.seekg(0);
    for (uint64_t left = seal_.size; left > 0 && file_;) {
      const auto count = std::min<uint64_t>(left, block.size());
      file_.read(block.data(), static_cast<std::streamsize>(count));
      digest.add(block.data(), static_cast<size_t>(file_.gcount()));
      left -= count;
    }
    return digest.value();
  }

  std::string path_;
  std::ifstream file_;
  Seal seal_;
};

void save_sealed(OutputArchive& archive, const std::string& path) {
  WholeFile file(path);
  Seal seal;
  Digest digest;
  archive.save_to([&](const void* bytes, size_t count) {
    file.write(bytes, count);
    digest.add(bytes, count);
    seal.size += count;
    return count;
  });
  seal.digest = digest.value();
  file.write(&seal, sizeof(seal));
  file.commit();
}

// ---- What is in the archive. ----

void check_storable(const std::string& name, const Tensor& tensor) {
  TORCH_CHECK(tensor.layout() == torch::kStrided && !is_expanded(tensor), "natgrad: '", name,
              "' of the model is ", tensor.layout() == torch::kStrided ? "expanded" : "sparse",
              ", which a checkpoint cannot hold; register a dense clone().");
}

template <class Module>
NamedTensors tensors_of(const Module& module) {
  NamedTensors tensors;
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    if (!tensor.defined()) return;
    check_storable(name, tensor);
    tensors.emplace_back(name, tensor);
  };
  if constexpr (std::is_same_v<Module, torch::jit::Module>) {
    for (const auto& item : module.named_parameters()) add(item.name, item.value);
    for (const auto& item : module.named_buffers()) add(item.name, item.value);
  } else {
    for (const auto& item : module.named_parameters()) add(item.key(), item.value());
    for (const auto& item : module.named_buffers()) add(item.key(), item.value());
  }
  return tensors;
}

/// The model's, and the optimizer's parameters that are not among them.
NamedTensors tensors_of(const CheckpointModel& model, const NaturalGradient& optimizer) {
  auto tensors = model.tensors();
  std::unordered_set<const void*> known;
  for (const auto& [name, tensor] : tensors) known.insert(tensor.unsafeGetTensorImpl());
  size_t place = 0;
  for (const auto& group : optimizer.param_groups()) {
    for (const auto& parameter : group.params()) {
      const bool is_new = known.insert(parameter.unsafeGetTensorImpl()).second;
      if (is_new) tensors.emplace_back(fmt::format("optimizer's parameter {}", place), parameter);
      ++place;
    }
  }
  return tensors;
}

void write_named(OutputArchive& archive, const std::string& key, const NamedTensors& tensors) {
  write_number(archive, key, static_cast<int64_t>(tensors.size()));
  for (size_t i = 0; i < tensors.size(); ++i) {
    write_text(archive, fmt::format("{}_{}_name", key, i), tensors[i].first);
    write(archive, fmt::format("{}_{}", key, i), tensors[i].second);
  }
}

NamedTensors read_named(InputArchive& archive, const std::string& key) {
  NamedTensors tensors;
  const auto count = read_number(archive, key);
  for (int64_t i = 0; i < count; ++i) {
    const auto name = read_text_if_there(archive, fmt::format("{}_{}_name", key, i));
    tensors.emplace_back(name.value_or(""), read(archive, fmt::format("{}_{}", key, i)));
  }
  return tensors;
}

void check_alike(const NamedTensors& saved, const NamedTensors& present, const std::string& path) {
  const auto described = [](const CheckpointModel::NamedTensor& named) {
    return fmt::format("'{}', {} of {}", named.first, c10::toString(named.second.scalar_type()),
                       c10::str(named.second.sizes()));
  };
  for (size_t i = 0; i < std::max(saved.size(), present.size()); ++i) {
    const auto was = i < saved.size() ? described(saved[i]) : "nothing more";
    const auto is = i < present.size() ? described(present[i]) : "nothing more";
    TORCH_CHECK(was == is, "natgrad: ", path, " is of another model: it has ", was,
                " where this one has ", is, "; nothing was changed.");
  }
}

std::string generator_key(const at::Generator& generator) {
  return fmt::format("generator_{}", c10::DeviceTypeName(generator.device().type(), true));
}

torch::Device device_of(const NaturalGradient& optimizer) {
  return optimizer.param_groups().front().params().front().device();
}

using GeneratorStates = std::vector<std::pair<at::Generator, Tensor>>;

void write_generators(OutputArchive& archive, const torch::Device& device) {
  for (auto& generator : default_generators(device)) {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    write(archive, generator_key(generator), generator.get_state());
  }
}

/// Those that are in the archive; none of them is set yet.
GeneratorStates read_generators(InputArchive& archive, const torch::Device& device) {
  GeneratorStates states;
  for (auto& generator : default_generators(device)) {
    Tensor state;
    if (!archive.try_read(generator_key(generator), state, /*is_buffer=*/true)) continue;
    at::Generator(generator.clone()).set_state(state);  // throws if it is none
    states.emplace_back(generator, state);
  }
  return states;
}

void set_generators(const GeneratorStates& states) {
  for (auto [generator, state] : states) {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
}

/// Answers an archive's error as one sentence about the file.
template <class Work>
auto about(const std::string& path, Work work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    std::string reason = error.what_without_backtrace();
    if (reason.starts_with("natgrad: ")) {
      if (reason.find(path) != std::string::npos) throw;
      TORCH_CHECK(false, "natgrad: ", path,
                  " does not fit, and nothing was changed: ", without_prefix(reason));
    }
    TORCH_CHECK(false, "natgrad: ", path,
                " cannot be read, and nothing was changed: ", reason.substr(0, reason.find('\n')));
  }
}

}  // namespace

CheckpointModel::CheckpointModel(const torch::nn::Module& module) : tensors_(tensors_of(module)) {}

CheckpointModel::CheckpointModel(const torch::jit::Module& module) : tensors_(tensors_of(module)) {}

void CheckpointModel::check_given(bool is_given) {
  TORCH_CHECK(is_given,
              "natgrad: a checkpoint was asked for of an empty module holder or a null "
              "pointer; construct the module first.");
}

void save_checkpoint(const CheckpointModel& model, const NaturalGradient& optimizer,
                     const std::string& path, const CheckpointNotes& notes) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, note] : notes) {
    TORCH_CHECK(note.defined() && note.layout() == torch::kStrided, "natgrad: the note '", name,
                "' is ", note.defined() ? "sparse" : "undefined",
                ", which a checkpoint cannot hold; give a dense tensor.");
  }
  OutputArchive archive, of_optimizer;
  optimizer.save(of_optimizer);
  write_number(archive, kFileVersionKey, kFileVersion);
  archive.write("optimizer", of_optimizer);
  write_named(archive, "model", tensors_of(model, optimizer));
  write_named(archive, "notes", NamedTensors(notes.begin(), notes.end()));
  write_generators(archive, device_of(optimizer));
  save_sealed(archive, path);
}

CheckpointNotes load_checkpoint(const CheckpointModel& model, NaturalGradient& optimizer,
                                const std::string& path) {
  const torch::NoGradGuard no_grad;
  // Everything is read and checked before anything is changed.
  auto [take_up, notes] = about(path, [&] {
    auto archive = SealedFile(path).archive();
    const auto version = read_number(archive, kFileVersionKey);
    TORCH_CHECK(version == kFileVersion, "natgrad: it is a checkpoint of version ", version,
                ", this library reads ", kFileVersion, ".");
    const auto present = tensors_of(model, optimizer);
    auto saved = read_named(archive, "model");
    check_alike(saved, present, path);
    for (size_t i = 0; i < saved.size(); ++i) {
      saved[i].second = saved[i].second.to(present[i].second.device());
    }
    InputArchive of_optimizer;
    archive.read("optimizer", of_optimizer);
    const auto load_optimizer = optimizer.prepare_to_load(of_optimizer);
    const auto generators = read_generators(archive, device_of(optimizer));
    const auto notes = read_named(archive, "notes");
    const std::function<void()> take_up = [=] {
      for (size_t i = 0; i < saved.size(); ++i) {
        Tensor(present[i].second).copy_(saved[i].second);
      }
      load_optimizer();  // which looks at the parameters
      set_generators(generators);
    };
    return std::pair(take_up, CheckpointNotes(notes.begin(), notes.end()));
  });
  take_up();
  return std::move(notes);
}

}  // namespace natgrad
