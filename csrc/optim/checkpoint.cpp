#include <fmt/format.h>
#include <torch/torch.h>
#include "optim/natural_gradient_impl.h"
#include "optim/trainable.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr int64_t kVersion = 4;
constexpr const char* kVersionKey = "natgrad_version";

/// Shapes, so that the state of another model is recognised.
Tensor sizes_of(const std::vector<Tensor>& parameters) {
  std::vector<int64_t> sizes;
  for (const auto& parameter : parameters) {
    sizes.push_back(parameter.dim());
    sizes.insert(sizes.end(), parameter.sizes().begin(), parameter.sizes().end());
  }
  return torch::tensor(sizes, torch::kLong);
}

Tensor read(torch::serialize::InputArchive& archive, const std::string& key) {
  Tensor value;
  TORCH_CHECK(archive.try_read(key, value, /*is_buffer=*/true), "natgrad: the archive lacks '", key,
              "', so it is not the state of a NaturalGradient optimizer of this version; load what "
              "torch::save(optimizer, ...) wrote.");
  return value.cpu();  // torch::load may put the archive on another device
}

/// A number that archives did not always hold; NaN then.
double read_if_there(torch::serialize::InputArchive& archive, const std::string& key) {
  Tensor value;
  return archive.try_read(key, value, /*is_buffer=*/true)
             ? value.item<double>()
             : std::numeric_limits<double>::quiet_NaN();
}

void write(torch::serialize::OutputArchive& archive, const std::string& key, const Tensor& value) {
  archive.write(key, value, /*is_buffer=*/true);
}

void write_list(torch::serialize::OutputArchive& archive, const std::string& key,
                const std::vector<Tensor>& values) {
  write(archive, key, torch::tensor(static_cast<int64_t>(values.size())));
  for (size_t i = 0; i < values.size(); ++i)
    write(archive, fmt::format("{}_{}", key, i), values[i]);
}

std::vector<Tensor> read_list(torch::serialize::InputArchive& archive, const std::string& key) {
  std::vector<Tensor> values(read(archive, key).item<int64_t>());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = read(archive, fmt::format("{}_{}", key, i));
  return values;
}

std::vector<Tensor> preconditioner_state(const Learned& learned) {
  return learned.preconditioner ? learned.preconditioner->state() : std::vector<Tensor>();
}

std::vector<double> numbers_of(const Tensor& state) {
  const auto* numbers = state.data_ptr<double>();
  return {numbers, numbers + state.numel()};
}

}  // namespace

void NaturalGradient::save(torch::serialize::OutputArchive& archive) const {
  std::vector<double> rates;
  for (const auto& group : param_groups_) {
    rates.insert(rates.end(), {options_of(group).lr(), options_of(group).weight_decay()});
  }
  write(archive, kVersionKey, torch::tensor(kVersion));
  write(archive, "sizes", sizes_of(all_parameters()));
  write(archive, "rates", torch::tensor(rates, torch::kDouble));
  const auto& [learned, last_step, accepted_steps, last_gain, caution] = impl().state();
  write(archive, "accepted_steps", torch::tensor(accepted_steps));
  write(archive, "last_gain", torch::tensor(last_gain, torch::kDouble));
  write(archive, "caution", torch::tensor(caution, torch::kDouble));
  write(archive, "damping", torch::tensor(learned.damping->state(), torch::kDouble));
  write(archive, "step_rule", torch::tensor(learned.step_rule->state(), torch::kDouble));
  write_list(archive, "preconditioner", preconditioner_state(learned));
  // Of all parameters, so that others may require a gradient when it is loaded.
  const ParameterLayout layout(all_parameters());
  const auto delta = last_step.delta(layout), none = torch::empty({0});
  const auto memory = last_step.memory(layout);
  write(archive, "delta", delta.defined() ? delta : none);
  write(archive, "memory", memory.defined() ? memory : none);
  const bool has_step = delta.defined() || last_step.can_be_taken_back();
  write(archive, "before", has_step ? last_step.before(layout) : none);
}

void NaturalGradient::load(torch::serialize::InputArchive& archive) {
  // Everything is read and checked before anything is changed.
  const auto version = read(archive, kVersionKey).item<int64_t>();
  TORCH_CHECK(version == kVersion, "natgrad: the archive is of version ", version,
              ", this library reads ", kVersion, ".");
  TORCH_CHECK(
      torch::equal(read(archive, "sizes"), sizes_of(all_parameters())),
      "natgrad: the archive was saved for parameters of other shapes; build the same model, and "
      "the same groups, before loading.");
  const auto rates = read(archive, "rates");
  const auto steps = read(archive, "accepted_steps").item<int64_t>();
  const auto last_gain = read_if_there(archive, "last_gain");
  const auto caution = read_if_there(archive, "caution");
  const auto damping_state = read(archive, "damping");
  const auto rule_state = read(archive, "step_rule");
  auto preconditioner_state = read_list(archive, "preconditioner");
  const auto delta = read(archive, "delta"), memory = read(archive, "memory");
  const auto before = read(archive, "before");
  TORCH_CHECK(rates.numel() == 2 * static_cast<int64_t>(param_groups_.size()),
              "natgrad: the archive was saved for ", rates.numel() / 2,
              " parameter groups, but there are ", param_groups_.size(), ".");
  LastStep last_step;
  if (before.numel() > 0) {
    const ParameterLayout layout(all_parameters());
    const auto dtype = layout.options().dtype();
    const auto device = layout.options().device();
    TORCH_CHECK(before.dtype() == dtype, "natgrad: the archive holds ", before.dtype(),
                ", but the parameters are ", dtype, "; convert the model first.");
    const auto if_known = [&](const Tensor& v) { return v.numel() > 0 ? v.to(device) : Tensor(); };
    last_step = {layout, before.to(device), if_known(delta), if_known(memory)};
  }
  Learned learned = impl().state().learned;
  learned.damping->set_state(numbers_of(damping_state));
  learned.step_rule->set_state(numbers_of(rule_state));
  TORCH_CHECK(learned.preconditioner || preconditioner_state.empty(),
              "natgrad: the archive holds the state of a preconditioner, but this optimizer has "
              "none; construct it with the same options.");
  if (learned.preconditioner) {
    for (auto& tensor : preconditioner_state) tensor = tensor.to(all_parameters().front().device());
    learned.preconditioner->set_state(preconditioner_state);
  }

  check_new_parameters();  // now, or the next step would take them for a reason to forget δ
  for (size_t i = 0; i < param_groups_.size(); ++i) {
    auto& options = static_cast<NaturalGradientOptions&>(param_groups_[i].options());
    options.lr(rates[2 * i].item<double>()).weight_decay(rates[2 * i + 1].item<double>());
  }
  impl().set_state({std::move(learned), std::move(last_step), steps, last_gain,
                    std::isnan(caution) ? 1 : caution});
}

}  // namespace natgrad
