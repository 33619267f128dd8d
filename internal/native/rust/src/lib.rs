extern crate daulet;
