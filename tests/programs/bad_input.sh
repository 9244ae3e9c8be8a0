#!/usr/bin/env bash
# Every program answers wrong flags, missing or broken files and unwritable outputs with one
# sentence and a status other than 0, and leaves no file.
#   bad_input.sh PROGRAM DATA     (DATA: the digits)
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
program=$1 digits=$2
name=$(basename "$program")

# refused ARGUMENTS...: with standard output to $to, if that is set.
refused() {
  "$program" "$@" > "${to:-$folder/out}" 2> err
  check_told "$name" $? err "$name $*"
  rm -f out err
  [ -z "$(ls -A)" ] || fail "$name $*: leaves $(ls -A)"
  echo "refused: $*"
}

broken_data() {
  (head -3 "$digits"; echo "1,2,three") > /tmp/natgrad_digits.$$
  refused "$1" /tmp/natgrad_digits.$$ "${@:2}"
  head -100 "$digits" > /tmp/natgrad_digits.$$  # too few
  refused "$1" /tmp/natgrad_digits.$$ "${@:2}"
  head -c 5000 /dev/urandom > /tmp/natgrad_digits.$$
  refused "$1" /tmp/natgrad_digits.$$ "${@:2}"
  rm -f /tmp/natgrad_digits.$$
  refused "$1" /none/digits.csv "${@:2}"
  refused "$1" / "${@:2}"
}

unwritable_output() {
  refused --output /none/there "$@"
  refused --output /proc/there "$@"
  refused --output "" "$@"
  refused --output there/ "$@"
  mkdir /tmp/natgrad_taken.$$ /tmp/natgrad_taken.$$/a.json
  refused --output /tmp/natgrad_taken.$$/a "$@"
  rm -r /tmp/natgrad_taken.$$
}

on_a_full_disk() {  # where a file may have a kilobyte
  (
    trap '' XFSZ
    ulimit -f 1
    refused "$@"
  ) || exit 1
}

resume() {  # of a run that is not there, and of what is no checkpoint
  refused --resume --output "$folder/none" "$@"
  mkdir /tmp/natgrad_resume.$$
  for ending in checkpoint without.checkpoint with.checkpoint sr.checkpoint; do
    echo "not one" > /tmp/natgrad_resume.$$/a.$ending
  done
  refused --resume --output /tmp/natgrad_resume.$$/a "$@"
  rm -r /tmp/natgrad_resume.$$
}

case $name in
  curvature_products|dual_solve|many_products|small_steps)  # Google Benchmark's flags
    is_googles=1
    refused --wrong
    refused --benchmark_filter=none_of_them
    refused --benchmark_filter='['
    refused --json
    case $name in curvature_products|many_products) refused --json /none/there.json ;; esac
    exit 0 ;;
esac
refused --wrong
refused stray
refused --seed x
refused --seed -1
case $name in
  conv_classifier|binary_classifier)  # the same command line as the next
    refused --data /none/digits.csv
    refused --output /none/there
    resume ;;
  digits_classifier)
    for bad in "--batch 0" "--batch -1" "--batch 1.5" "--batch half" "--epochs 0" "--epochs x" \
               "--seed 99999999999999999999" "--threads 0" "--scale nan" "--scale 0" \
               "--device tpu" "--device cuda:99" "--mnist /none" "--output"; do
      refused $bad
    done
    broken_data --data
    unwritable_output
    resume ;;
  configured_training)
    configured() {  # refused with this configuration
      echo "$1" > /tmp/natgrad_configuration.$$
      refused --config /tmp/natgrad_configuration.$$
      rm -f /tmp/natgrad_configuration.$$
    }
    configured nonsense
    configured '{"epochs": 0, "batch": 128}'
    configured '{"epochs": 1, "batch": 128, "rate": 1}'
    configured '{"epochs": 1, "batch": 128, "loss": "hinge"}'
    configured '{"epochs": 1, "batch": 128, "optimizer": {"type": "adan"}}'
    configured '{"epochs": 1, "batch": 128, "optimizer": {"type": "natgrad", "lr": "fast"}}'
    configured '{"epochs": 1, "batch": 128, "scheduler": "linear"}'
    refused --config /none/there
    refused --model /none/there
    refused --model "$digits"
    broken_data --data
    unwritable_output ;;
  uncertain_regression)
    for bad in "--batch 0" "--epochs 0" "--threads 0" "--data $digits"; do refused $bad; done
    unwritable_output
    resume
    on_a_full_disk --epochs 1 ;;
  recurrent_memory)
    for bad in "--wait 0" "--units 0" "--steps 0" "--seconds nan" "--seconds 0" "--goal nan" \
               "--mu 0" "--mu nan" "--lambda inf" "--lambda -1" "--threads 0"; do
      refused $bad
    done
    unwritable_output
    resume ;;
  pinn_poisson|pinn_heat)
    for bad in "--seconds nan" "--seconds 0" "--steps -1" "--seeds 0" "--threads 0"; do
      refused $bad
    done
    [ $name = pinn_heat ] || refused --dimensions 3
    unwritable_output
    resume
    on_a_full_disk --steps 1 ;;
  ising_vmc)
    for bad in "--spins 2" "--coupling nan" "--field -1" "--hidden 0" "--samples 0" "--sweeps 0" \
               "--steps 0" "--rate nan" "--rate 0" "--shift 0" "--momentum 1" "--memory-doubling 0" "--threads 0"; do
      refused $bad
    done
    unwritable_output
    resume ;;
  curvatures)
    refused --examples 0
    broken_data --data
    unwritable_output ;;
  discrete_variational)
    for bad in "--spins 3" "--spins 15" "--spins x"; do refused $bad; done
    unwritable_output --spins 4 ;;
  theory_report)
    for bad in "--only none" "--only divergence,none" "--only"; do refused $bad; done
    "$program" --only none 2> err
    grep -q 'networks.*gauss_newton.*note' err || fail "--only none: names no sections: $(cat err)"
    rm -f err
    broken_data --data
    unwritable_output --only divergence
    on_a_full_disk --only divergence ;;
  fisher_equals_ggn)
    for bad in "--examples 0" "--only none" "--model rnn" "--family none" "--precision half" \
               "--weights 10" "--tamper nan" "--threads 0" "--model attention --width 3"; do
      refused $bad
    done
    broken_data --data
    unwritable_output
    on_a_full_disk --only split --examples 1 --no-picture ;;
  deep_autoencoder)
    for bad in "--seconds nan" "--seconds 0" "--interval x" "--method sgd"; do refused $bad; done
    unwritable_output --seconds 0.01 --method adam_1e-3 ;;
  batch_sizes)
    for bad in "--tasks none" "--batches 0" "--epochs -1" "--seeds 0" "--watch -1" \
               "--fixed-rates --race" "--fashion /none --tasks fashion"; do
      refused $bad
    done ;;
  step_price)
    for bad in "--tasks none" "--rounds 0" "--steps 0" "--warm-up -1" \
               "--fashion /none --tasks fashion"; do
      refused $bad
    done
    to=/dev/full refused --tasks regression --rounds 1 --steps 1 --warm-up 1 ;;
  certified)
    for bad in "--only none" "--teachers 0" "--teacher-steps 0" "--teachers x"; do refused $bad; done
    unwritable_output --only wampler ;;
  model_zoo)
    for bad in "--only none" "--steps 0" "--seeds 0" "--seeds x"; do refused $bad; done ;;
  *) fail "$name: no bad input is known for it; add some to $0" ;;
esac
