package main

import "strings"

var maleNames = strings.Fields(`
	Ace Archie Bailey Bandit Bear Benji Bentley Blue Brody Bruno Buddy Buster Charlie Chester Cooper
	Copper Diesel Duke Finn Gizmo Gus Hank Harley Henry Hunter Jack Jake Jax Joey Leo Loki Louie Lucky
	Max Milo Moose Murphy Ollie Oscar Otis Rex Rocky Romeo Scout Teddy Thor Toby Tucker Winston Zeus`)

var femaleNames = strings.Fields(`
	Abby Angel Annie Athena Bella Belle Bonnie Chloe Cleo Coco Cookie Daisy Dixie Ella Ellie Emma Fiona
	Ginger Gracie Hazel Holly Honey Izzy Josie Lady Layla Lexi Lola Lucy Luna Maggie Maya Mia Millie
	Minnie Molly Nala Nova Olive Penny Pepper Piper Poppy Roxy Ruby Sadie Sasha Stella Willow Zoe`)
