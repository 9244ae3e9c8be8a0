#include <fmt/format.h>
#include <torch/torch.h>

#include <limits>
#include <memory>

#include "linalg/shapes.h"
#include "optim/archive_entries.h"
#include "optim/natural_gradient_impl.h"
#include "optim/trainable.h"

namespace natgrad {

using torch::Tensor;
using torch::serialize::InputArchive;
using torch::serialize::OutputArchive;

namespace {

/// What changes the words of a part's `describe` makes another version too: settings are compared
/// by them. One archive of each version that can be loaded is kept in tests/optim/archives.
constexpr int64_t kStateVersion = 5, kOldestVersion = 4;
constexpr const char* kVersionKey = "natgrad_version";

// ---- What has to be as it was: the parts, the groups, the parameters. ----

struct PartText {
  std::string name, text;
};

std::vector<PartText> parts_of(const NaturalGradientOptions& options) {
  const auto* matrix = options.damping_matrix();
  const auto* preconditioner = options.preconditioner();
  return {{"curvature", options.curvature().describe()},
          {"solver", options.solver().describe()},
          {"damping", options.damping().describe()},
          {"damping_matrix", matrix ? matrix->describe() : "identity"},
          {"preconditioner", preconditioner ? preconditioner->describe() : "none"},
          {"step_rule", options.step_rule().describe()},
          {"maximize", options.maximize() ? "true" : "false"}};
}

std::string key_of(const PartText& part) { return "setting_" + part.name; }

std::string kind_in(const std::string& text) { return text.substr(0, text.find('(')); }

void check_parts(InputArchive& archive, const NaturalGradientOptions& options, bool is_older) {
  for (const auto& part : parts_of(options)) {
    const auto saved = read_text_if_there(archive, key_of(part));
    if (!saved || *saved == part.text) continue;
    TORCH_CHECK(is_older && kind_in(*saved) == kind_in(part.text), "natgrad: the archive is of an ",
                "optimizer whose ", part.name, " is ", *saved, ", but this one's is ", part.text,
                "; construct it with the same options. (To go on with others, load the model "
                "alone: the optimizer then starts anew.)");
  }
}

std::vector<int64_t> group_sizes(const std::vector<torch::optim::OptimizerParamGroup>& groups) {
  std::vector<int64_t> sizes;
  for (const auto& group : groups) sizes.push_back(static_cast<int64_t>(group.params().size()));
  return sizes;
}

std::string dtype_of(const Tensor& tensor) { return c10::toString(tensor.scalar_type()); }

// ---- The last step: of the parameters that it moved. ----

struct SavedStep {
  std::vector<int64_t> moved;    ///< which of the parameters
  Tensor before, delta, memory;  ///< of these; undefined where there is none
  bool can_be_taken_back = true;
};

Tensor or_empty(const Tensor& vector) { return vector.defined() ? vector : torch::empty({0}); }

std::vector<int64_t> places_in(const std::vector<Tensor>& all, const std::vector<Tensor>& some) {
  std::vector<int64_t> places;
  for (size_t i = 0; i < all.size(); ++i) {
    for (const auto& one : some) {
      if (one.is_same(all[i])) places.push_back(static_cast<int64_t>(i));
    }
  }
  return places;
}

std::vector<Tensor> at_places(const std::vector<Tensor>& all, const std::vector<int64_t>& places) {
  std::vector<Tensor> some;
  for (const auto place : places) some.push_back(all[static_cast<size_t>(place)]);
  return some;
}

void write_step(OutputArchive& archive, const LastStep& step, const std::vector<Tensor>& all) {
  const auto moved = places_in(all, step.current_parameters());
  write(archive, "moved", torch::tensor(moved, torch::kLong));
  write_number(archive, "can_be_taken_back", step.can_be_taken_back() ? 1 : 0);
  Tensor before, delta, memory;
  if (!moved.empty()) {
    const ParameterLayout layout(at_places(all, moved));
    before = step.before(layout);
    delta = step.delta(layout);
    memory = step.memory(layout);
  }
  write(archive, "before", or_empty(before));
  write(archive, "delta", or_empty(delta));
  write(archive, "memory", or_empty(memory));
}

std::vector<int64_t> read_places(InputArchive& archive, size_t count) {
  const auto saved = read(archive, "moved").to(torch::kLong).contiguous();
  const std::vector<int64_t> places(saved.data_ptr<int64_t>(),
                                    saved.data_ptr<int64_t>() + saved.numel());
  int64_t least = 0;
  for (const auto place : places) {
    TORCH_CHECK(place >= least && place < static_cast<int64_t>(count),
                "natgrad: the archive's last step moved parameter ", place, " of ", count,
                "; it is broken, save it again.");
    least = place + 1;
  }
  return places;
}

/// Of all parameters in version 4, which did not tell.
std::vector<int64_t> all_places(size_t count) {
  std::vector<int64_t> places;
  for (size_t i = 0; i < count; ++i) places.push_back(static_cast<int64_t>(i));
  return places;
}

SavedStep read_step(InputArchive& archive, const std::vector<Tensor>& all, int64_t version) {
  SavedStep step;
  const auto before = read(archive, "before");
  step.moved = version == 4 ? all_places(before.numel() > 0 ? all.size() : 0)
                            : read_places(archive, all.size());
  if (version > 4) step.can_be_taken_back = read_number(archive, "can_be_taken_back") != 0;
  if (step.moved.empty()) return step;
  const auto like = all.front().options().requires_grad(false);
  const ParameterLayout layout(at_places(all, step.moved));
  const auto checked = [&](const char* name, const Tensor& vector) {
    TORCH_CHECK(vector.dtype() == like.dtype(), "natgrad: the archive holds ", vector.dtype(),
                ", but the parameters are ", like.dtype(), "; convert the model first.");
    TORCH_CHECK(vector.dim() == 1 && vector.numel() == layout.size(), "natgrad: the archive's '",
                name, "' has ", vector.numel(), " numbers for ", layout.size(),
                " parameters; it is broken, save it again.");
    return vector.to(like.device()).contiguous();
  };
  const auto if_known = [&](const char* name) {
    const auto vector = read(archive, name);
    return vector.numel() > 0 || layout.size() == 0 ? checked(name, vector.to(like.dtype()))
                                                    : Tensor();
  };
  step.before = checked("before", before);
  step.delta = if_known("delta");
  step.memory = if_known("memory");
  return step;
}

LastStep last_step_of(const SavedStep& saved, const std::vector<Tensor>& all) {
  if (saved.moved.empty()) return {};
  LastStep step(ParameterLayout(at_places(all, saved.moved)), saved.before, saved.delta,
                saved.memory);
  if (!saved.can_be_taken_back) step.keep_for_good();
  return step;
}

// ---- What the parts have learnt. ----

std::vector<Tensor> preconditioner_state(const Learned& learned) {
  return learned.preconditioner ? learned.preconditioner->state() : std::vector<Tensor>();
}

void write_learned(OutputArchive& archive, const Learned& learned) {
  write_numbers(archive, "damping", learned.damping->state());
  write_numbers(archive, "step_rule", learned.step_rule->state());
  write_list(archive, "preconditioner", preconditioner_state(learned));
}

void read_learned(InputArchive& archive, Learned& learned, const torch::Device& device) {
  learned.damping->set_state(read_numbers(archive, "damping"));
  learned.step_rule->set_state(read_numbers(archive, "step_rule"));
  auto state = read_list(archive, "preconditioner");
  TORCH_CHECK(learned.preconditioner || state.empty(),
              "natgrad: the archive holds the state of a preconditioner, but this optimizer has "
              "none; construct it with the same options.");
  if (!learned.preconditioner) return;
  for (auto& tensor : state) tensor = tensor.to(device);
  learned.preconditioner->set_state(state);
}

// ---- Numbers that older archives of version 4 lack. ----

double read_if_there(InputArchive& archive, const std::string& key, double otherwise) {
  Tensor value;
  return archive.try_read(key, value, /*is_buffer=*/true) ? value.item<double>() : otherwise;
}

double read_caution(InputArchive& archive) {
  const double caution = read_if_there(archive, "caution", 1);
  TORCH_CHECK(caution > 0 && caution <= 1, "natgrad: the archive's 'caution' is ", caution,
              ", but lies in (0, 1]; it is broken, save it again.");
  return caution;
}

}  // namespace

void NaturalGradient::save(OutputArchive& archive) const {
  TORCH_CHECK(!impl().is_stepping(),
              "natgrad: the optimizer was to be saved from within a step's closure, where the "
              "parameters may be trial points; save between steps.");
  const auto parameters = all_parameters();
  write_number(archive, kVersionKey, kStateVersion);
  for (const auto& part : parts_of(impl().system())) write_text(archive, key_of(part), part.text);
  write(archive, "sizes", shapes_of(parameters));
  write_text(archive, "dtype", dtype_of(parameters.front()));
  write(archive, "group_sizes", torch::tensor(group_sizes(param_groups_), torch::kLong));
  std::vector<double> rates;
  for (const auto& group : param_groups_) {
    rates.insert(rates.end(), {options_of(group).lr(), options_of(group).weight_decay()});
  }
  write_numbers(archive, "rates", rates);
  const auto& [learned, last_step, accepted_steps, last_gain, caution] = impl().state();
  write_number(archive, "accepted_steps", accepted_steps);
  write(archive, "last_gain", torch::tensor(last_gain, torch::kDouble));
  write(archive, "caution", torch::tensor(caution, torch::kDouble));
  write_learned(archive, learned);
  write_step(archive, last_step, parameters);
}

void NaturalGradient::check_archive(InputArchive& archive) const {
  const auto version = read_number(archive, kVersionKey);
  TORCH_CHECK(version >= kOldestVersion && version <= kStateVersion,
              "natgrad: the archive is of version ", version, ", this library reads ",
              kOldestVersion, " to ", kStateVersion,
              "; load it with the library that wrote it, or start the optimizer anew.");
  const auto parameters = all_parameters();
  check_parameters(parameters);
  TORCH_CHECK(
      torch::equal(read(archive, "sizes"), shapes_of(parameters)),
      "natgrad: the archive was saved for parameters of other shapes; build the same model, and "
      "the same groups, before loading.");
  const auto dtype = read_text_if_there(archive, "dtype").value_or(dtype_of(parameters.front()));
  TORCH_CHECK(dtype == dtype_of(parameters.front()), "natgrad: the archive holds ", dtype,
              ", but the parameters are ", dtype_of(parameters.front()),
              "; convert the model first.");
  const auto groups = param_groups_.size(), saved = read_numbers(archive, "rates").size() / 2;
  TORCH_CHECK(saved == groups, "natgrad: the archive was saved for ", saved,
              " parameter groups, but there are ", groups, ".");
  if (version > 4) {
    const auto sizes = torch::tensor(group_sizes(param_groups_), torch::kLong);
    TORCH_CHECK(torch::equal(read(archive, "group_sizes"), sizes),
                "natgrad: the archive was saved for groups of other parameters; build the same "
                "groups before loading.");
  }
  check_parts(archive, impl().system(), version < kStateVersion);
}

std::function<void()> NaturalGradient::prepare_to_load(InputArchive& archive) {
  TORCH_CHECK(!impl().is_stepping(),
              "natgrad: the optimizer was to be loaded from within a step's closure; load between "
              "steps.");
  check_archive(archive);
  const auto parameters = all_parameters();
  const auto version = read_number(archive, kVersionKey);
  const auto rates = read_numbers(archive, "rates");
  for (size_t i = 0; i < param_groups_.size(); ++i) {
    NaturalGradientOptions().lr(rates[2 * i]).weight_decay(rates[2 * i + 1]).check();
  }
  auto state = std::make_shared<OptimizerState>(OptimizerState{impl().state().learned});
  state->accepted_steps = read_number(archive, "accepted_steps");
  TORCH_CHECK(state->accepted_steps >= 0, "natgrad: the archive tells of ", state->accepted_steps,
              " steps; it is broken, save it again.");
  state->last_gain = read_if_there(archive, "last_gain", std::numeric_limits<double>::quiet_NaN());
  state->caution = read_caution(archive);
  read_learned(archive, state->learned, parameters.front().device());
  return [=, this, step = read_step(archive, parameters, version)] {
    check_new_parameters();  // now, or the next step would take them for a reason to forget δ
    for (size_t i = 0; i < param_groups_.size(); ++i) {
      auto& options = static_cast<NaturalGradientOptions&>(param_groups_[i].options());
      options.lr(rates[2 * i]).weight_decay(rates[2 * i + 1]);
    }
    state->last_step = last_step_of(step, parameters);
    impl().set_state(std::move(*state));
  };
}

void NaturalGradient::load(InputArchive& archive) {
  // Everything is read and checked before anything is changed.
  prepare_to_load(archive)();
}

}  // namespace natgrad
