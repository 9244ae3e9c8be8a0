#pragma once

#include <natgrad/export.h>
#include <natgrad/optim/natural_gradient.h>

#include <concepts>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace natgrad {

/// What a checkpoint holds of a network: its parameters and buffers, by name. Made of whatever a
/// network is at hand as: a module, its holder (`torch::nn::Sequential`, what `TORCH_MODULE`
/// defines), a pointer to it, or a scripted module.
///
/// Throws `c10::Error` for an empty holder or pointer.
class NATGRAD_EXPORT CheckpointModel {
 public:
  /// Of a module.
  CheckpointModel(const torch::nn::Module& module);
  /// Of a scripted one.
  CheckpointModel(const torch::jit::Module& module);
  /// Of a holder, or a pointer.
  template <class Holder>
  requires requires(const Holder& holder) {
    { *holder } -> std::convertible_to<const torch::nn::Module&>;
  }
  CheckpointModel(const Holder& holder) : CheckpointModel(*checked(holder, bool(holder))) {}

  /// A parameter or buffer, by its name in the module.
  using NamedTensor = std::pair<std::string, torch::Tensor>;
  /// Parameters, then buffers.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }

 private:
  template <class Holder>
  static const Holder& checked(const Holder& holder, bool is_given) {
    check_given(is_given);
    return holder;
  }
  static void check_given(bool is_given);

  std::vector<NamedTensor> tensors_;
};

/// What else a job wants back: an epoch, the state of a generator of its own.
using CheckpointNotes = std::map<std::string, torch::Tensor>;

/// Writes to one file what a job resumes from, to the bit: the model's parameters and buffers, the
/// optimizer (`NaturalGradient::save`), LibTorch's default generators (the CPU's, and that of the
/// parameters' device), which dropout and shuffles draw from, and `notes`.
///
/// ```cpp
/// natgrad::save_checkpoint(model, optimizer, "run.checkpoint", {{"epoch", torch::tensor(3)}});
/// // in the next process, with model and optimizer constructed as they were:
/// const auto notes = natgrad::load_checkpoint(model, optimizer, "run.checkpoint");
/// const auto epoch = notes.at("epoch").item<int64_t>();
/// ```
///
/// Whenever the process or the machine stops, `path` holds the old file or the new one, whole: it
/// is written beside it, as `path`.partial, which the next save overwrites, and takes its place
/// when it has reached the disk. Parameters that the optimizer has and the model has not (a learnt
/// weight of a loss) are saved too.
///
/// Throws `c10::Error` with one sentence, the old file being as it was, where it cannot be written,
/// while another process or thread is saving to it, and from within a step's closure.
NATGRAD_EXPORT void save_checkpoint(const CheckpointModel& model, const NaturalGradient& optimizer,
                                    const std::string& path, const CheckpointNotes& notes = {});

/// Takes up what `save_checkpoint` wrote, on any device, and answers its notes (on the CPU). Modes
/// (train or eval), which parameters require a gradient, and generators of other devices stay. To
/// the bit on the same machine, LibTorch and number of threads; not of scripted modules, which
/// LibTorch runs otherwise from their second call on.
///
/// Throws `c10::Error` with one sentence, and nothing is changed, for a file that is missing,
/// truncated, altered or no checkpoint, for another model (by names, shapes, dtypes) and for
/// another optimizer (`NaturalGradient::load`).
NATGRAD_EXPORT CheckpointNotes load_checkpoint(const CheckpointModel& model,
                                               NaturalGradient& optimizer, const std::string& path);

}  // namespace natgrad
